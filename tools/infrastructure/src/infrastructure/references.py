"""Which resources an attribute names whose value is known only after applying, by the configuration's references."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from infrastructure.resources import Plan, Resource, resources

_RESOURCE: Final = re.compile(r'^(?P<address>aws_[a-z0-9_]+\.[a-z0-9_]+)(?:\["(?P<key>[^"]+)"\])?')


class References:
    """The configuration of a plan beside its resources.

    References name resources, not their instances: of several, the one of the same key is meant (or of the key's first
    word, or of the key that the reference itself has), else all.
    """

    def __init__(self, plan: Plan) -> None:
        """Index the plan."""
        self._root = plan["configuration"]["root_module"]
        self._instances: dict[tuple[str, str], list[Resource]] = {}
        for resource in resources(plan):
            self._instances.setdefault((resource.module, f"{resource.type}.{resource.name}"), []).append(resource)

    def of(self, resource: Resource, attribute: str) -> list[Resource]:
        """The resources that an attribute of `resource` names, without repetition."""
        configuration = self._configuration(resource.module)
        declared = next(
            item
            for item in configuration["resources"]
            if item["type"] == resource.type and item["name"] == resource.name
        )
        expression = declared["expressions"].get(attribute, {})
        each = declared.get("for_each_expression", {}).get("references", [])
        found = self._resolve(resource.module, expression.get("references", []), each, resource.key)
        return list({target.address: target for target in found}.values())

    def _resolve(
        self, module: str, names: Sequence[str], each: Sequence[str], key: str | int | None
    ) -> Iterator[Resource]:
        # `a.b["k"].id` comes with `a.b["k"]` and `a.b`: the longest says which one is meant.
        longest = [name for name in names if not any(other != name and other.startswith(name) for other in names)]
        for name in longest:
            head, _, rest = name.partition(".")
            if head == "each":
                yield from self._resolve(module, each, (), key) if rest.startswith("value") else ()
            elif head == "var":
                yield from self._variable(module, rest, key)
            elif head == "module":
                child, _, output = rest.partition(".")
                yield from self._output(module, child, output, key)
            elif match := _RESOURCE.match(name):
                yield from self._pick(module, match["address"], match["key"] or key)

    def _pick(self, module: str, address: str, key: str | int | None) -> list[Resource]:
        instances = self._instances.get((module, address), [])
        wanted = {key, key.split()[0]} if isinstance(key, str) and key else {key}
        return [instance for instance in instances if instance.key in wanted] or instances

    def _variable(self, module: str, name: str, key: str | int | None) -> Iterator[Resource]:
        parent, _, child = module.rpartition("module.")
        parent = parent.rstrip(".")
        call = self._configuration(parent)["module_calls"][re.sub(r"\[.*\]$", "", child)]
        references = call["expressions"].get(name.partition(".")[0], {}).get("references", [])
        yield from self._resolve(parent, references, (), key)

    def _output(self, module: str, child: str, output: str, key: str | int | None) -> Iterator[Resource]:
        name = re.sub(r"\[.*\]$", "", child)
        if not output:
            return
        inside = self._configuration(module)["module_calls"][name]["module"]
        references = inside["outputs"][re.split(r"[.\[]", output)[0]]["expression"].get("references", [])
        prefix = f"{module}." if module else ""
        for path in sorted({path for path, _ in self._instances if _without_index(path) == f"{prefix}module.{name}"}):
            yield from self._resolve(path, references, (), key)

    def _configuration(self, module: str) -> Mapping[str, Any]:
        configuration: Mapping[str, Any] = self._root
        for name in re.findall(r"module\.([^.\[]+)", module):
            configuration = configuration["module_calls"][name]["module"]
        return configuration


def _without_index(path: str) -> str:
    return re.sub(r"\[[^\]]*\]$", "", path)
