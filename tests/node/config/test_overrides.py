"""What the command line says takes the place of what the configuration says."""

from pathlib import Path

import pytest

from tahoeish.node.config import Config, ConfigError, parse


@pytest.fixture
def config() -> Config:
    peers = "".join(f'[[grid.peers]]\ndirectory = "{number}"\n' for number in range(3))
    return parse(f"[encoding]\nneeded = 1\nhappy = 2\n{peers}", base=Path("/node"))


def test_encoding(config: Config) -> None:
    encoding = config.with_encoding("3/10").encoding

    assert (encoding.needed, encoding.total) == (3, 10)


def test_another_encoding_lets_happiness_be_chosen_anew(config: Config) -> None:
    assert config.with_encoding("1/1").encoding.happy == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("10/3", "10/3: 10 shares needed of only 3 made; did you mean 3/10?"),
        ("a/b", '"a/b" is not needed/total, such as "3/10"'),
        ("300", '"300" is not needed/total, such as "3/10"'),
        ("3/300", "3/300: there can be 1 to 256 shares"),
        ("0/3", "0/3: there can be 1 to 256 shares"),
        ("", '"" is not needed/total, such as "3/10"'),
    ],
)
def test_an_encoding_that_cannot_be_is_refused(config: Config, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.with_encoding(text)

    assert str(caught.value) == f"tahoeish: --encoding: {message}"


def test_listen(config: Config) -> None:
    assert config.with_listen(["tcp:0", "tcp6:0"]).gateway.listen == ("tcp:0", "tcp6:0")


def test_a_place_where_nobody_can_listen_is_refused(config: Config) -> None:
    with pytest.raises(ConfigError, match=r'^tahoeish: --listen: "8080" is no endpoint; write it like "tcp:'):
        config.with_listen(["8080"])


def test_what_is_not_given_stays(config: Config) -> None:
    assert config.overridden(encoding=None, listen=None) == config
    assert config.overridden(encoding="2/3", listen=["tcp:1"]) == config.with_encoding("2/3").with_listen(["tcp:1"])
