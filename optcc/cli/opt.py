"""`optcc opt`: parse the text of the dialect, run passes on it, print it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click

from optcc.cli.output import check_writable, write
from optcc.errors import OptccError

if TYPE_CHECKING:
    from optcc.cli.module_text import Chunk

SEPARATOR = "// -----"


@click.command("opt")
@click.argument("file", metavar="FILE")
@click.option("-p", "--passes", "pipeline", metavar="PIPELINE", help="Passes, as `split-leaves,fuse-maps`, or a name.")
@click.option("--print-ir-after-all", is_flag=True, help="Print the module after every pass to standard error.")
@click.option("--verify-each", is_flag=True, help="Verify the module after every pass.")
@click.option("--time-passes", is_flag=True, help="Print the time of every pass to standard error.")
@click.option("--split-input-file", is_flag=True, help=f"Take chunks between `{SEPARATOR}` lines one by one.")
@click.option("--print-generic", is_flag=True, help="Print every op in its generic form.")
@click.option("-o", "output", metavar="FILE", help="Where to write; default standard output.")
def opt_command(
    file: str,
    pipeline: str | None,
    print_ir_after_all: bool,
    verify_each: bool,
    time_passes: bool,
    split_input_file: bool,
    print_generic: bool,
    output: str | None,
) -> None:
    """Parse FILE (`-` for standard input), run a pipeline on it and print the result.

    Without -p the module is only parsed, verified and printed. With --split-input-file, the error of a chunk is
    printed in its place.
    """
    from optcc.cli.module_text import Chunk, print_module, read_chunks, read_text
    from optcc.cli.passes import PassOptions, run
    from optcc.passes import parse_pipeline

    check_writable(output)
    passes = parse_pipeline(pipeline) if pipeline is not None else ()
    options = PassOptions(verify_each=verify_each, print_each=print_ir_after_all, time_each=time_passes)

    def process(chunk: Chunk) -> str:
        module = chunk.parse()
        run(module, passes, options)
        return print_module(module, generic=print_generic)

    name, text = read_text(file)
    if split_input_file:
        write(_each(read_chunks(name, text, SEPARATOR), process), output)
    else:
        write(process(Chunk(name, text)), output)


def _each(chunks: Iterable[Chunk], process: Callable[[Chunk], str]) -> str:
    """The results of chunks, those of comments only left out, with its error in the place of one that fails."""
    results: list[str] = []
    for chunk in chunks:
        if chunk.is_empty:
            continue
        try:
            results.append(process(chunk))
        except OptccError as error:
            results.append(f"error: {error}\n")
    return f"{SEPARATOR}\n".join(results)
