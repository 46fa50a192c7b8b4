"""`transparent-mp doctor`."""


def main(_arguments: object) -> int:
    """."""
    return 0
    return 0
