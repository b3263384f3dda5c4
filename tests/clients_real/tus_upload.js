// Uploads a file with tus-js-client: node tus_upload.js FOLDER ENDPOINT FILE OPTIONS-AS-JSON. Prints the upload's address.
const { createReadStream, readFileSync, statSync } = require("node:fs");
const { createRequire } = require("node:module");
const { PassThrough } = require("node:stream");

const [folder, endpoint, path, json] = process.argv.slice(2);
const options = JSON.parse(json);
const tus = createRequire(`${folder}/`)("tus-js-client");

function source() {
  // The client doesn't say of the last part of a file that it is the last, which the IETF's drafts want to be said.
  if (options.protocol) return readFileSync(path);
  const file = createReadStream(path);
  // Of a file, it knows the length.
  return options.uploadLengthDeferred ? file.pipe(new PassThrough()) : file;
}

const upload = new tus.Upload(source(), {
  endpoint,
  ...(options.parallelUploads ? {} : { uploadSize: statSync(path).size }),
  metadata: { filename: "file" },
  retryDelays: Array(60).fill(250),
  onError: (error) => {
    console.error(String(error));
    process.exit(1);
  },
  onSuccess: () => console.log(upload.url),
  ...options,
});
upload.start();
