"""Reads api/*.api, writes the generated sources: generate.py --api DIR --driver-table FILE --out DIR."""

import argparse
import pathlib
import sys

import emit
import model


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--api", required=True, type=pathlib.Path)
    parser.add_argument("--driver-table", required=True, type=pathlib.Path)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    options = parser.parse_args(arguments)
    try:
        entries = model.load(options.api)
        model.check_driver_table(entries, options.driver_table.read_text())
    except model.ApiError as error:
        print(error, file=sys.stderr)
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    for name, function in emit.OUTPUTS.items():
        text = function(entries)
        path = options.out / name
        if not path.exists() or path.read_text() != text:  # an unchanged file rebuilds nothing
            path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
