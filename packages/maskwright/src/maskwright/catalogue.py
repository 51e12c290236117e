"""Which components exist. One broken plugin never takes the others down; nothing is ever overwritten."""

import hashlib
import importlib
import os
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import attrs
import pluggy

from maskwright import hookspecs, local_plugin
from maskwright.component import KINDS, Component
from maskwright.elsewhere import how_to_get
from maskwright.errors import UserError, did_you_mean
from maskwright.params import check_params_class
from maskwright.tags import CAPABILITIES, CAVEATS

API = 1
"""Removals raise it; additions do not. A plugin states the one it was written for as `MASKWRIGHT_API`."""

GROUP = "maskwright"
LOCAL_FILE = local_plugin.FILE
CORE = "maskwright"
WATCHING = [word for word in dir(hookspecs) if word.startswith("maskwright_") and word[11:-1] not in KINDS]


@attrs.frozen
class Listed:
    """A component together with where it comes from."""

    kind: str
    component: Component
    package: str
    version: str

    @property
    def name(self) -> str:
        return self.component.name

    @property
    def reference(self) -> str:
        """`kind:name`"""
        return f"{self.kind}:{self.component.name}"

    @property
    def qualified(self) -> str:
        """`name@package`: never ambiguous."""
        return f"{self.component.name}@{self.package}"

    @property
    def is_file(self) -> bool:
        """Whether it is a recipe file that a package ships."""
        return self.component.params.endswith(".toml")

    def params_class(self) -> type:
        """The Params class; importing it must not import anything heavy."""
        module_name, _, name = self.component.params.partition(":")
        try:
            cls = getattr(importlib.import_module(module_name), name)
            check_params_class(cls)
            return cls
        except (Exception, SystemExit) as error:
            raise UserError(
                f"the settings of {self.reference} cannot be loaded",
                where=f"{self.component.params} of {self.package} {self.version}",
                why=f"{type(error).__name__}: {error}",
                cure=_cure(error, self.package),
            ) from error


@attrs.frozen
class Problem:
    """Why a plugin, or a part of it, is not available."""

    plugin: str
    distribution: str
    version: str
    stage: str
    error: str
    cure: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version} (plugin {self.plugin}), at {self.stage}: {self.error}"


class StrictStop(UserError):
    """MASKWRIGHT_STRICT=1: the first problem ends everything."""


def _cure(error: BaseException, package: str) -> str:
    if package == LOCAL_FILE:
        return f"mend {LOCAL_FILE}, or run with --no-local"
    if isinstance(error, ModuleNotFoundError):
        # Not "pip install MODULE": a module and its distribution often have different names (sklearn, PIL).
        return f"reinstall it with what it needs:  pip install --force-reinstall {package}"
    return f"update or uninstall {package}:  pip install -U {package}   |   pip uninstall {package}"


@attrs.define
class Catalogue:
    """Everything that is installed and could be loaded, and why the rest could not."""

    manager: pluggy.PluginManager
    listed: list[Listed] = attrs.field(factory=list)
    problems: list[Problem] = attrs.field(factory=list)
    local_file: Path | None = None
    owners: dict[str, tuple[str, str]] = attrs.field(factory=dict)
    """Distribution and version of each plugin that is registered."""

    def of_kind(self, kind: str) -> list[Listed]:
        return sorted((x for x in self.listed if x.kind == kind), key=lambda x: (x.name, x.package))

    def find(self, kinds: str | tuple[str, ...], name: str) -> Listed:
        """The component called `name` or `name@package`; UserError when there is none or more than one."""
        kinds = (kinds,) if isinstance(kinds, str) else kinds
        kind_words = " or ".join(kinds)
        if ":" in name and name.split(":", 1)[0] in KINDS:
            kind, name = name.split(":", 1)
            if kind not in kinds:
                raise UserError(
                    f'"{kind}:{name}" is not a {kind_words}',
                    cure=f"maskwright list {kinds[0]}   shows what is installed",
                )
        bare, _, package = name.partition("@")
        matches = [
            x for x in self.listed if x.kind in kinds and x.name == bare and package in ("", x.package)
        ]
        if len(matches) == 1:
            return matches[0]
        if matches:
            if len({x.kind for x in matches}) > 1:
                spellings = " or ".join(f'"{x.reference}"' for x in matches)
                raise UserError(
                    f'"{bare}" is the name of several kinds of component', cure=f"write {spellings}"
                )
            spellings = " or ".join(f'"{x.qualified}"' for x in matches)
            raise UserError(f'"{bare}" is offered by more than one package', cure=f"write {spellings}")
        known = [x.name for x in self.listed if x.kind in kinds]
        elsewhere = sorted({x.kind for x in self.listed if x.name == bare})
        has_it, cure = how_to_get(kinds, bare, package)
        if elsewhere:
            hint = f" — there is a {elsewhere[0]} of that name"
        else:
            hint = f" — {has_it}" if has_it else did_you_mean(bare, known)
        raise UserError(
            f'there is no {kind_words} called "{name}"{hint}',
            why=self.failures() if self.problems else "",
            cure=cure or f"maskwright list {kinds[0]}   shows what is installed",
        )

    def of_class(self, cls: type) -> Listed | None:
        """The component that a Params class belongs to."""
        spelled = f"{cls.__module__}:{cls.__qualname__}"
        return next((x for x in self.listed if x.component.params == spelled), None)

    def watching(self) -> set[str]:
        """Distributions that are told about runs."""
        implementations = (i for hook in WATCHING for i in getattr(self.manager.hook, hook).get_hookimpls())
        return {self.owners[i.plugin_name][0] for i in implementations if i.plugin_name in self.owners}

    def failures(self) -> str:
        """One line about plugins that did not load, or nothing."""
        names = sorted({f"{p.distribution} {p.version}" for p in self.problems})
        if not names:
            return ""
        count = f"{len(names)} plugin{'s' if len(names) != 1 else ''} failed to load: {', '.join(names)}"
        return f'{count} — run "maskwright doctor"'

    # -- loading -----------------------------------------------------------------------------------------

    def add_plugin(self, plugin: Any, name: str, distribution: str, version: str) -> None:
        """Register one plugin, keep what it declares, or keep the problem."""
        stage = "handshake"
        before = len(self.listed)
        try:
            self._shake_hands(plugin, name, distribution, version)
            stage = "hooks"
            self._check_hooks(plugin, name, distribution, version)
            stage = "register"
            self.manager.register(plugin, name)
            stage = "declare"
            for kind in KINDS:
                self._declare(plugin, kind, distribution, version)
            self.owners[name] = distribution, version
        except StrictStop:
            raise
        except (Exception, SystemExit) as error:
            del self.listed[before:]
            if self.manager.has_plugin(name):
                self.manager.unregister(name=name)
            self.problem(name, distribution, version, stage, error)

    def problem(
        self, name: str, distribution: str, version: str, stage: str, error: BaseException, cure: str = ""
    ) -> None:
        text = error.what if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        cure = cure or (error.cure if isinstance(error, UserError) else "") or _cure(error, distribution)
        if isinstance(error, pluggy.PluginValidationError):
            text = f"{' '.join(str(error).split())} — or it was made for a newer maskwright (this is {_version()})"
            cure = f"pip install -U {CORE}"
        problem = Problem(name, distribution, version, stage, text, cure)
        self.problems.append(problem)
        if os.environ.get("MASKWRIGHT_STRICT") == "1":
            raise StrictStop(
                f"plugin {name} failed to load, and MASKWRIGHT_STRICT=1 is set",
                where=f"{distribution} {version}, at {stage}",
                why=text,
                cure=cure,
            ) from error

    def _shake_hands(self, plugin: Any, name: str, distribution: str, version: str) -> None:
        api = getattr(plugin, "MASKWRIGHT_API", None)
        if api is None:
            raise UserError(
                "MASKWRIGHT_API is missing",
                cure=f"the author adds  MASKWRIGHT_API = {API}  to {getattr(plugin, '__name__', name)}",
            )
        if api != API:
            newer = isinstance(api, int) and api > API
            raise UserError(
                f"made for API {api!r}, this maskwright {_version()} has API {API}",
                cure=f"pip install -U {CORE if newer else distribution}",
            )

    def _check_hooks(self, plugin: Any, name: str, distribution: str, version: str) -> None:
        known = [word for word in dir(hookspecs) if word.startswith("maskwright_")]
        for attribute in dir(plugin):
            marked = self.manager.parse_hookimpl_opts(plugin, attribute) is not None
            if not marked or attribute in known:
                continue
            hint = did_you_mean(attribute, known)
            error = UserError(
                f"unknown hook {attribute}{hint}, or made for a newer maskwright (this is {_version()})",
                cure=f"rename the hook, or  pip install -U {CORE}",
            )
            self.problem(name, distribution, version, "hooks", error)

    def _declare(self, plugin: Any, kind: str, distribution: str, version: str) -> None:
        hook = f"maskwright_{kind}s"
        for implementation in getattr(self.manager.hook, hook).get_hookimpls():
            if implementation.plugin is not plugin:
                continue
            components = list(implementation.function())
            trace(f"{hook} <- {distribution}: {len(components)} components")
            for component in components:
                self._validate(component, kind, distribution)
                self.listed.append(Listed(kind, component, distribution, version))
                self._check_tags(self.listed[-1])

    def _check_tags(self, listed: Listed) -> None:
        """A tag that nobody knows is no reason to do without the component; fields of data are free."""
        if listed.kind in ("dataset", "pipeline"):
            return
        for tag in sorted(listed.component.provides - CAPABILITIES.keys() - CAVEATS.keys()):
            if ":" not in tag:
                hint = did_you_mean(tag, [*CAPABILITIES, *CAVEATS])
                error = UserError(
                    f'{listed.reference} provides the unknown tag "{tag}"{hint}, '
                    f"or made for a newer maskwright (this is {_version()})",
                    cure=f'the author writes a tag of his own as "vendor:tag"; or  pip install -U {CORE}',
                )
                self.problem(listed.package, listed.package, listed.version, "tags", error)

    def _validate(self, component: Any, kind: str, distribution: str) -> None:
        if not isinstance(component, Component):
            raise UserError(f"maskwright_{kind}s gave {component!r} instead of a Component")
        _require_text("name", component.name, "a Component")
        name = component.name
        letters = set("abcdefghijklmnopqrstuvwxyz0123456789-")
        if not name or not name[0].isalpha() or not set(name) <= letters:
            raise UserError(
                f'"{name}" is no component name', cure="use a-z, 0-9 and -, beginning with a letter"
            )
        for word in ("params", "summary", "paper", "deprecated"):
            _require_text(word, getattr(component, word), f"{kind}:{name}")
        if not _is_target(component.params, kind):
            raise UserError(
                f'params of {kind}:{name} is "{component.params}"',
                cure='write "package.module:Class", or of a recipe file "package:recipes/name.toml"',
            )
        if not component.summary.strip() or not component.summary.isprintable():
            raise UserError(
                f"summary of {kind}:{name} is {component.summary!r}", cure="write one line of text"
            )
        if any(x.kind == kind and x.name == name and x.package == distribution for x in self.listed):
            raise UserError(f"{kind}:{name} is declared twice by {distribution}")


def _require_text(word: str, value: Any, owner: str) -> None:
    if not isinstance(value, str):
        raise UserError(f"{word} of {owner}: expected text, found {value!r}")


def _is_target(params: str, kind: str) -> bool:
    """`package.module:Class`, or of a recipe `package:file.toml`."""
    module, _, inner = params.partition(":")
    if not all(word.isidentifier() for word in module.split(".")):
        return False
    if kind == "recipe" and inner.endswith(".toml"):
        return ":" not in inner
    return inner.isprintable() and bool(inner) and not set(inner) & set(" .:/")


def _version() -> str:
    try:
        return metadata.version(CORE)
    except metadata.PackageNotFoundError:
        return "unknown"


def trace(text: str) -> None:
    """Print a hook call when MASKWRIGHT_TRACE=1: names and sizes, never values."""
    if os.environ.get("MASKWRIGHT_TRACE") == "1":
        print(f"maskwright trace: {text}", file=sys.stderr)


def empty_catalogue() -> Catalogue:
    """A catalogue that knows the core's own components only."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    made = Catalogue(manager)
    from maskwright import builtin

    made.add_plugin(builtin, CORE, CORE, _version())
    return made


def _owner(entry: metadata.EntryPoint) -> tuple[str, str]:
    """Name and version of the distribution; a half-removed one has an entry point but no metadata."""
    name, version = (entry.dist.name, entry.dist.version) if entry.dist is not None else ("", "")
    return name or entry.value.partition(":")[0], version or "unknown"


def load_catalogue(local: Path | None = None) -> Catalogue:
    """Load the core, every installed plugin, and the plugin file `local` if given."""
    made = empty_catalogue()
    wanted = {word.strip() for word in os.environ.get("MASKWRIGHT_PLUGINS", "").split(",") if word.strip()}
    seen: set[str] = set()
    entries = metadata.entry_points(group=GROUP)
    for (distribution, version), entry in sorted(
        ((_owner(e), e) for e in entries), key=lambda x: (x[0], x[1].name)
    ):
        names = {entry.name, distribution}
        seen |= names
        if wanted and not names & wanted:
            continue
        try:
            plugin = entry.load()
        except (Exception, SystemExit) as error:
            made.problem(entry.name, distribution, version, "load", error)
            continue
        made.add_plugin(plugin, f"{distribution}:{entry.name}", distribution, version)
    for missing in sorted(wanted - seen):
        made.problem(
            missing,
            missing,
            "(not installed)",
            "MASKWRIGHT_PLUGINS",
            UserError(f'no plugin is called "{missing}"{did_you_mean(missing, seen)}'),
            cure="name the entry point or the distribution, or unset MASKWRIGHT_PLUGINS",
        )
    if local is not None:
        _load_local(made, local)
    return made


def _load_local(made: Catalogue, path: Path) -> None:
    made.local_file = path
    version = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    try:
        module = local_plugin.module_of(path)
    except (Exception, SystemExit) as error:
        cure = local_plugin.cure_of(path, error)
        made.problem("local", LOCAL_FILE, version, "load", error, cure=cure)
        return
    made.add_plugin(module, "local", LOCAL_FILE, version)


_current: Catalogue | None = None


def catalogue() -> Catalogue:
    """The one catalogue of this process, loaded at first use."""
    global _current
    if _current is None:
        local = Path.cwd() / LOCAL_FILE
        use_local = local.is_file() and os.environ.get("MASKWRIGHT_NO_LOCAL") != "1"
        if use_local:
            print(f"maskwright: using the plugin file {local}", file=sys.stderr)
        _current = load_catalogue(local if use_local else None)
    return _current


def set_catalogue(replacement: Catalogue | None) -> Catalogue | None:
    """For tests: put another catalogue in place (None: load anew at next use); returns the one before."""
    global _current
    before, _current = _current, replacement
    return before
