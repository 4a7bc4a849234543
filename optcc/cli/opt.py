"""`optcc opt`: parse the text of the dialect, run passes on it, print it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from optcc.cli.options import PassOptions, PipelineCommand, pass_options, pipeline_option
from optcc.cli.output import check_writable, write
from optcc.errors import OptccError

if TYPE_CHECKING:
    from xdsl.dialects.builtin import ModuleOp

    from optcc.program.module_text import Chunk

SEPARATOR = "// -----"


@click.command("opt", cls=PipelineCommand)
@click.argument("file", metavar="FILE", required=False)
@pipeline_option(default=None, passes_of="to run")
@pass_options
@click.option("--split-input-file", is_flag=True, help=f"Take chunks between `{SEPARATOR}` lines one by one.")
@click.option("--print-generic", is_flag=True, help="Print every op in its generic form.")
@click.option(
    "--diff",
    nargs=2,
    metavar="FILE FILE",
    help="Print what is different between two modules, but for the names of values; exit code 1 if anything.",
)
@click.option("-o", "output", metavar="FILE", help="Where to write; default standard output.")
@click.pass_context
def opt_command(
    ctx: click.Context,
    file: str | None,
    pipeline: str | None,
    split_input_file: bool,
    print_generic: bool,
    diff: tuple[str, str] | None,
    output: str | None,
    **rest: Any,
) -> None:
    """Parse FILE (`-` for standard input), run a pipeline on it and print the result.

    Without -p the module is only parsed, verified and printed. With --split-input-file, the error of a chunk is
    printed in its place. With --diff, the pipeline is run on both modules before they are compared.
    """
    from optcc.cli.passes import run
    from optcc.passes import parse_pipeline
    from optcc.program.module_text import Chunk, print_module, read_chunks, read_text

    if (file is None) is (diff is None):
        raise click.UsageError("Give one FILE, or --diff FILE FILE.", ctx)
    check_writable(output)
    passes = parse_pipeline(pipeline) if pipeline is not None else ()
    options = PassOptions(**rest)

    def module_of(chunk: Chunk) -> ModuleOp:
        module = chunk.parse()
        run(module, passes, options)
        return module

    def process(chunk: Chunk) -> str:
        return print_module(module_of(chunk), generic=print_generic, debuginfo=options.mlir_print_debuginfo)

    if diff is not None:
        from optcc.cli.diff import show_diff

        show_diff(ctx, diff, [module_of(Chunk(*read_text(one))) for one in diff], output, options)
        return
    assert file is not None
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
