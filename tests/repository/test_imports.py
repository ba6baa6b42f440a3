"""Which package of services/ may import which; what is within one of them, pyproject.toml says to lint-imports."""

import grimp
from tests.helpers.workspace import MEMBERS

PACKAGES = {
    package.name
    for member in MEMBERS
    if member.parent.name == "services"
    for package in member.glob("src/*")
    if (package / "__init__.py").is_file()
}


def test_services_know_each_other_by_their_protocols_and_share_only_common() -> None:
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    foreign = {
        (importer.partition(".")[0], imported.partition(".")[0])
        for importer in graph.modules
        for imported in graph.find_modules_directly_imported_by(importer)
    }
    used = {(importer, imported) for importer, imported in foreign if importer != imported}
    assert used, "services do use common"
    assert {(importer, imported) for importer, imported in used if imported != "common"} == set()
