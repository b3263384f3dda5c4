"""One module for each revision of the schema, in the order that their numbers say."""
