"""One file a command; `main` is `transparent-mp COMMAND ...`.

Imports a command when it is called: every worker imports this package.
"""

from __future__ import annotations

import sys

_USAGE = """\
usage: transparent-mp COMMAND ...

    deploy     create or update the Lambda function that workers run in
    destroy    remove what deploy has made
    doctor     try everything that a program on workers needs, and say what to do

`transparent-mp COMMAND --help` tells more. A program runs with: python -m transparent_mp app.py"""


def main() -> int:
    """Run a command; returns its exit status."""
    name, arguments = (sys.argv[1:2] or [""])[0], sys.argv[2:]
    if name == "deploy":
        from transparent_mp.cli import deploy

        return deploy.main(arguments)
    if name == "destroy":
        from transparent_mp.cli import destroy

        return destroy.main(arguments)
    if name == "doctor":
        from transparent_mp.cli import doctor

        return doctor.main(arguments)
    asked = name in ("-h", "--help")
    if name and not asked:
        print(f"transparent-mp: there is no command {name}", file=sys.stderr)
    print(_USAGE, file=sys.stdout if asked else sys.stderr)
    return 0 if asked else 2
