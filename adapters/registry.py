"""
The adapters that the gateway knows, by the word of their address: the folders of this house, and those of other packages.

A folder beside this file is an adapter when it holds `mapping.yaml` or `adapter.py` (one class); its name is the folder's, `_`
becoming `-`. An installed package adds its own by an entry point of the group `tdu.adapters`, whose name is the adapter's:

    [project.entry-points."tdu.adapters"]
    acme = "acme_tdu"            # a package that holds mapping.yaml
    acme-api = "acme_tdu.api:Acme"  # a class, or an object
"""

import inspect
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import ModuleType
from typing import Any, Final

from adapters.base import Adapter
from adapters.mapping.engine import MappingAdapter
from adapters.mapping.loading import FILE

GROUP: Final = "tdu.adapters"


class UnknownAdapter(LookupError):
    """
    No adapter has that name; `name` is not part of the sentence, since it comes from outside.
    """

    def __init__(self) -> None:
        self.message_fr = f"Aucun adaptateur ne porte ce nom. Adaptateurs : {', '.join(ADAPTERS)}."
        self.message_en = f"No adapter has this name. Adapters: {', '.join(ADAPTERS)}."
        super().__init__(f"{self.message_fr} / {self.message_en}")


class AdapterConflict(RuntimeError):
    """
    Two adapters have the same name, or an entry point gives something else than the adapter of that name.
    """


class Adapters(Mapping[str, Adapter]):
    """
    Adapters by name, each made when it is first asked for: a command that needs one does not pay for all.
    """

    def __init__(self, folders: Mapping[str, Traversable], points: Mapping[str, EntryPoint]) -> None:
        if both := folders.keys() & points.keys():
            raise AdapterConflict(f"two adapters are named {', '.join(sorted(both))}")
        self._folders = folders
        self._points = points
        self._made: dict[str, Adapter] = {}

    def __getitem__(self, name: str) -> Adapter:
        if name not in self._made:
            made = _of_folder(name, self._folders[name]) if name in self._folders else _of_point(self._points[name])
            if made.name != name:
                raise AdapterConflict(f"the adapter {name} says that its name is {made.name}")
            self._made[name] = made
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted((*self._folders, *self._points)))

    def __len__(self) -> int:
        return len(self._folders) + len(self._points)


def discover() -> Adapters:
    """
    The adapters of this house and of the installed packages. Raises `AdapterConflict`.
    """
    points: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        if point.name in points:
            raise AdapterConflict(f"two installed packages name an adapter {point.name}")
        points[point.name] = point
    return Adapters(dict(_folders()), points)


def _folders() -> Iterator[tuple[str, Traversable]]:
    for folder in files("adapters").iterdir():
        described = folder.is_dir() and ((folder / FILE).is_file() or (folder / "adapter.py").is_file())
        if described and not folder.name.startswith("_"):
            yield folder.name.replace("_", "-"), folder


def _of_folder(name: str, folder: Traversable) -> Adapter:
    if (folder / "adapter.py").is_file():
        made: Adapter = _only_class(import_module(f"adapters.{folder.name}.adapter"))()
        return made
    return MappingAdapter(folder, name)


def _only_class(module: ModuleType) -> Any:
    found = [
        thing
        for _, thing in inspect.getmembers(module, inspect.isclass)
        if thing.__module__ == module.__name__ and hasattr(thing, "to_shared") and hasattr(thing, "to_partner")
    ]
    if len(found) != 1:
        raise AdapterConflict(f"{module.__name__} must define one adapter, not {len(found)}")
    return found[0]


def _of_point(point: EntryPoint) -> Adapter:
    found: Any = point.load()
    if isinstance(found, ModuleType):
        return MappingAdapter(files(found), point.name)
    if isinstance(found, type):
        found = found()
    adapter: Adapter = found
    return adapter


ADAPTERS: Final[Mapping[str, Adapter]] = discover()


def get(name: str) -> Adapter:
    """
    The adapter of that name. Raises `UnknownAdapter`.
    """
    try:
        return ADAPTERS[name]
    except KeyError:
        raise UnknownAdapter from None
