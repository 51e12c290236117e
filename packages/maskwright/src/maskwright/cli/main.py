"""The grammar of `maskwright`, and what becomes of errors. Verbs are imported when they are called."""

import argparse
import contextlib
import importlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from maskwright.errors import UserError, did_you_mean, printable

OK, FAULT, MISTAKE, INTERRUPTED = 0, 1, 2, 130

EPILOG = """exit codes: 0 fine · 2 something you can mend (one block on stderr says what, where, why and what to do)
1 a fault of maskwright or of a plugin (--debug shows the traceback) · 130 interrupted with Ctrl-C"""

Handler = Callable[[argparse.Namespace], int]


class Verb:
    """One verb: its arguments are declared by `add`, its work is `module:function`."""

    def __init__(self, name: str, target: str, help: str, example: str, add: Callable) -> None:
        self.name, self.target, self.help, self.example, self.add = name, target, help, example, add


def _name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", metavar="KIND:NAME", help="a component, e.g. recipe:joint-dag or schedule:cosine"
    )


def _list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", nargs="?", help="only this kind")
    parser.add_argument("--json", action="store_true", help="machine-readable")


def _show(parser: argparse.ArgumentParser) -> None:
    _name(parser)
    parser.add_argument("settings", nargs="*", metavar="key=value", help="settings, for --sample")
    parser.add_argument("--sample", type=int, metavar="N", help="of a data set: print or draw N items")
    parser.add_argument("--split", default="", help="the split to sample from (default: the first)")
    parser.add_argument("--out", metavar="FILE.png", help="draw the sample into this file")


def _new_recipe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", metavar="NAME", help="a recipe; see  maskwright list recipe")


def _new_plugin(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="of the package and of its component, e.g. acme-masks")
    parser.add_argument("--kind", required=True, help="what it brings: masker, encoder, objective, …")
    parser.add_argument("--out", default="", metavar="FOLDER", help="where to write it (default: ./NAME)")


def _recipe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", metavar="NAME|FILE", help="a recipe's name, or a .toml or .json file")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="settings by path, e.g. data.tasks=4"
    )
    parser.add_argument("--seed", type=int, help="overrides the recipe's seed")


def _run(parser: argparse.ArgumentParser) -> None:
    _recipe(parser)
    _run_options(parser)


def _run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", metavar="FOLDER", help="the run folder (default: a new one below runs/)")
    parser.add_argument("--no-pictures", action="store_true", help="no figures and no report page")


def _resume(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("--accept-drift", action="store_true", help="go on with other versions or data")
    parser.add_argument("--no-pictures", action="store_true", help="no figures and no report page")


def _apply(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN[:PIPELINE]", help="a run folder, or pipeline:NAME without a run")
    parser.add_argument(
        "inputs", nargs="*", metavar="INPUT", help="files, folders, text, or - for JSON lines on stdin"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="key=value", help="a setting of the pipeline"
    )
    parser.add_argument("--out", metavar="PATH", help="write here instead of to the terminal")
    parser.add_argument("--seed", type=int, default=0, help="seed of pipelines that draw")


def _evaluate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run", metavar="RUN[:PIPELINE]", help="a run folder, and the pipeline over it that is judged"
    )
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="with=EVALUATOR[,…] data=DATASET on=PART …"
    )
    parser.add_argument("--seed", type=int, help="seed of the evaluation")
    _run_options(parser)


def _runs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folders")


def _compare(parser: argparse.ArgumentParser) -> None:
    _runs(parser)
    parser.add_argument("--json", action="store_true", help="machine-readable")


def _export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("out", metavar="OUT", help="a file or folder that does not exist yet")
    parser.add_argument("--to", required=True, metavar="FORMAT", help="see exports in  maskwright show")
    parser.add_argument("--part", default="", metavar="PATH", help="the part to export, if several can be")


def _import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="PATH", help="a file or folder made elsewhere")
    parser.add_argument(
        "--from", dest="format", required=True, metavar="FORMAT", help="see imports in  maskwright show"
    )
    parser.add_argument(
        "--as", dest="component", default="", metavar="KIND:NAME", help="what to make of it, if several fit"
    )
    parser.add_argument("--out", required=True, metavar="FOLDER", help="the run folder to make")
    parser.add_argument(
        "--set", action="append", default=[], metavar="key=value", help="an option of what reads the format"
    )


def _doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--contracts", metavar="NAME", help="run the contract checks of a component or package"
    )
    parser.add_argument("--json", action="store_true", help="machine-readable")


HOME = "maskwright.cli"
VERBS = (
    Verb(
        "list",
        f"{HOME}.catalogue_verbs:list_components",
        "every component, by kind",
        "maskwright list dataset",
        _list,
    ),
    Verb(
        "show",
        f"{HOME}.show_verb:show",
        "settings, slots and help of one component",
        "maskwright show schedule:cosine",
        _show,
    ),
    Verb(
        "new-recipe",
        f"{HOME}.recipe_text:new_recipe",
        "a commented recipe file",
        "maskwright new-recipe joint-dag > my.toml",
        _new_recipe,
    ),
    Verb(
        "new-plugin",
        f"{HOME}.plugin_verb:new_plugin",
        "a package with one working component, to start from",
        "maskwright new-plugin acme-masks --kind masker",
        _new_plugin,
    ),
    Verb(
        "check",
        f"{HOME}.run_verbs:check",
        "every mistake of a recipe at once; builds nothing",
        "maskwright check my.toml data.tasks=4",
        _recipe,
    ),
    Verb(
        "run",
        f"{HOME}.run_verbs:run",
        "run a recipe",
        "maskwright run joint-dag data.tasks=4 --seed 3 --out runs/first",
        _run,
    ),
    Verb(
        "resume",
        f"{HOME}.run_verbs:resume",
        "go on with an interrupted run",
        "maskwright resume runs/first",
        _resume,
    ),
    Verb(
        "apply",
        f"{HOME}.apply_verb:apply",
        "put what a run made to work on new input",
        "maskwright apply runs/first:residuals table.csv --out noise.csv",
        _apply,
    ),
    Verb(
        "evaluate",
        f"{HOME}.run_verbs:evaluate",
        "a finished run under any evaluator",
        "maskwright evaluate runs/first with=graph",
        _evaluate,
    ),
    Verb(
        "report",
        f"{HOME}.folder_verbs:report",
        "write the report page anew",
        "maskwright report runs/first",
        _runs,
    ),
    Verb(
        "compare",
        f"{HOME}.folder_verbs:compare",
        "metrics and differing settings of runs",
        "maskwright compare runs/first runs/second",
        _compare,
    ),
    Verb(
        "export",
        f"{HOME}.folder_verbs:export",
        "take a part to another program",
        "maskwright export runs/first --to graphml graphs/",
        _export,
    ),
    Verb(
        "import",
        f"{HOME}.folder_verbs:import_run",
        "make a run from what another program wrote",
        "maskwright import graphs/ --from graphml --out runs/drawn",
        _import,
    ),
    Verb(
        "doctor",
        f"{HOME}.catalogue_verbs:doctor",
        "what is installed, what failed to load, and the cure",
        "maskwright doctor --contracts schedule:cosine",
        _doctor,
    ),
)


def common_flags() -> argparse.ArgumentParser:
    """Flags that every verb takes, and `maskwright` itself."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show tracebacks")
    common.add_argument("--no-local", action="store_true", help="ignore ./maskwright_local.py")
    common.add_argument("-q", "--quiet", action="store_true", help="only results and errors")
    common.add_argument("-v", "--verbose", action="store_true", help="name hooks as they are called")
    return common


def main_parser() -> argparse.ArgumentParser:
    """`maskwright --help`: the verbs, without their arguments."""
    width = max(len(verb.name) for verb in VERBS)
    verbs = "\n".join(f"  {verb.name:<{width}}  {verb.help}" for verb in VERBS)
    parser = argparse.ArgumentParser(
        prog="maskwright",
        description=f"Pre-train, adapt, compress and evaluate models by masking and contrast.\n\nverbs:\n{verbs}",
        epilog="maskwright VERB --help shows a verb with an example.\n\n" + EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common_flags()],
        usage="maskwright VERB [arguments] [options]",
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    return parser


def verb_parser(verb: Verb) -> argparse.ArgumentParser:
    """The grammar of one verb; only the one that is called is ever made."""
    parser = argparse.ArgumentParser(
        prog=f"maskwright {verb.name}",
        description=verb.help[0].upper() + verb.help[1:] + ".",
        epilog=f"example:\n  {verb.example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common_flags()],
    )
    verb.add(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    # Flags before the verb take no value, so the first word without a dash is the verb.
    place = next((i for i, word in enumerate(words) if not word.startswith("-")), None)
    if place is None:
        arguments = main_parser().parse_args(words)
        if arguments.version:
            from importlib.metadata import version

            print(f"maskwright {version('maskwright')}")
            return OK
        main_parser().print_help()
        return MISTAKE
    verb = next((verb for verb in VERBS if verb.name == words[place]), None)
    if verb is None:
        hint = did_you_mean(words[place], [known.name for known in VERBS])
        print(
            f'maskwright: there is no verb "{words[place]}"{hint}\n  do:    maskwright --help',
            file=sys.stderr,
        )
        return MISTAKE
    # Intermixed: options may stand between the inputs or settings.
    arguments = verb_parser(verb).parse_intermixed_args(words[:place] + words[place + 1 :])
    if arguments.no_local:
        os.environ["MASKWRIGHT_NO_LOCAL"] = "1"
    if arguments.verbose:
        os.environ["MASKWRIGHT_TRACE"] = "1"
    return guarded(verb.target, arguments)


def _stop(*_: Any) -> None:
    raise KeyboardInterrupt


def guarded(target: str, arguments: argparse.Namespace) -> int:
    """Call a verb; turn what it raises into one readable block and an exit code."""
    with contextlib.suppress(ValueError):  # not in the main thread: then somebody else minds signals
        signal.signal(signal.SIGTERM, _stop)  # schedulers ask this way; it ends as Ctrl-C does
    try:
        module, _, function = target.partition(":")
        code = getattr(importlib.import_module(module), function)(arguments)
        sys.stdout.flush()  # here, where a reader that went away is nothing to shout about
        return code
    except UserError as error:
        if arguments.debug:
            raise
        print(f"maskwright: {printable(str(error))}", file=sys.stderr)
        return MISTAKE
    except KeyboardInterrupt:
        print("maskwright: interrupted; what was saved is kept  (maskwright resume RUN)", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away (`maskwright list | head`): nothing is wrong here.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception as error:
        if arguments.debug:
            raise
        print(
            f"maskwright: this should not have happened: {type(error).__name__}: {error}"
            f"{''.join(f' ({note})' for note in getattr(error, '__notes__', []))}\n"
            "  why:   a fault of maskwright or of a plugin, not of your input\n"
            "  do:    run it again with --debug and report the traceback",
            file=sys.stderr,
        )
        return FAULT
