"""Departments as people write them: wrong ones with what is said of them, and right ones."""

from typing import Any

from tests.operator.world import department, spec

from local.kubernetes.kubectl import Object


def dataset(**changes: Any) -> dict[str, Any]:
    """The one data set of a specification, with changes; None takes a field away."""
    changed = spec()["datasets"][0] | changes
    return {"datasets": [{key: value for key, value in changed.items() if value is not None}]}


def without(field: str) -> Object:
    document = department("finance")
    del document["spec"][field]
    return document


SERVER_REPLICAS = "replicas.min is greater than replicas.max"
FOLDER = "it always lies in the department's own folder, departments/mcp-<department>/"
GROUP = "a group's name is not empty, has no comma and no quotation mark, and neither begins nor ends with a space"
ONE_LINE = "the display name is one line of text"
TYPE = 'got "{}", expected "{}"'
DATASET_NAME = "a data set's name has at most 39 lower-case letters, digits and underscores, and begins with a letter"
BLANK = "a column's name is not blank"
CPU = "a quantity of CPU is a number of cores, such as 100m or 2, and at least 10m"
MEMORY = "a quantity is a positive number with a unit, such as 256Mi or 1Gi"
OTHER = {"name": "items", "object": "items.csv", "key": "item_id"}
LEADS = {"groups": ["finance"], "restrictedGroups": ["finance-leads"]}

# What is wrong, the Department, what a person is told, and whether a service that reads it from a file refuses it too
# (what is the operator's alone, or would only be odd, is not the services' to refuse).
WRONG: dict[str, tuple[Object, str, bool]] = {
    "a name in capitals": (department("Finance"), "lower case", True),
    "a name with a dot": (department("fin.ance"), "a department's name has at most 40 lower-case letters", True),
    "a name that begins with a digit": (department("1finance"), "begins with a letter", True),
    "a name that is too long": (department("f" * 41), "at most 40 lower-case letters", True),
    "no specification": ({**department("finance"), "spec": None}, 'missing required field "spec"', True),
    "no display name": (without("displayName"), 'missing required field "displayName"', True),
    "an empty display name": (department("finance", displayName=""), "spec.displayName", True),
    "a display name that is too long": (department("finance", displayName="f" * 81), "has at most 80 characters", True),
    "an unknown toolset": (
        department("finance", toolset="sales"),
        "the toolset is generic, finance, hr or legal",
        True,
    ),
    "no access": (without("access"), 'missing required field "access"', True),
    "no group": (department("finance", access={"groups": []}), "should have at least 1 item", True),
    "a group instead of a list": (
        department("finance", access={"groups": "finance"}),
        'got "string", expected "array"',
        True,
    ),
    "an empty group": (department("finance", access={"groups": [""]}), "spec.access.groups[0]", False),
    "a group twice": (department("finance", access={"groups": ["a", "a"]}), "Duplicate value", False),
    "no data set": (department("finance", datasets=[]), "should have at least 1 item", True),
    "two data sets of one name": (
        department("finance", datasets=spec()["datasets"] * 2),
        'spec.datasets[1]: Duplicate value: {"name":"vendors"}',
        False,
    ),
    "a data set's name with a dash": (
        department("finance", **dataset(name="vendor-list")),
        DATASET_NAME,
        True,
    ),
    "no object": (
        department("finance", **dataset(object=None)),
        'missing required field "object"',
        True,
    ),
    "another department's folder": (department("finance", **dataset(object="../mcp-hr/salaries.csv")), FOLDER, True),
    "an address instead of an object": (department("finance", **dataset(object="s3://hr/all.csv")), FOLDER, True),
    "a format that is not read": (
        department("finance", **dataset(object="vendors.xlsx")),
        "an object ends with .csv, .jsonl or .parquet",
        True,
    ),
    "no key": (
        department("finance", **dataset(key=None)),
        'missing required field "key"',
        True,
    ),
    "an empty alias": (department("finance", **dataset(aliases=[""])), "spec.datasets[0].aliases[0]", True),
    "a pattern that does not compile": (
        department("finance", **dataset(pattern="^V-([0-9]$")),
        "missing closing )",
        True,
    ),
    "a pattern of too many characters": (department("finance", **dataset(pattern="a" * 257)), "more than 256", True),
    "a pattern that the services read in another way": (
        department("finance", **dataset(pattern=r"^\p{Letter}+$")),
        r"write the pattern without \p",
        True,
    ),
    "a pattern that repeats more than it may": (
        department("finance", **dataset(pattern="^([0-9]{100}){100}$")),
        "invalid repeat count",
        True,
    ),
    "a path to the data": (department("finance", path="s3://other"), '(Department.spec): unknown field "path"', True),
    "a misspelt field": (
        department("finance", **dataset(restrictedColumn=["iban"])),
        '(Department.spec.datasets[0]): unknown field "restrictedColumn"',
        True,
    ),
    "fewer replicas at most than at least": (
        department("finance", server={"replicas": {"min": 5, "max": 2}}),
        SERVER_REPLICAS,
        False,
    ),
    "more replicas at least than there are by default at most": (
        department("finance", server={"replicas": {"min": 5}}),
        SERVER_REPLICAS,
        False,
    ),
    "no replica": (department("finance", server={"replicas": {"min": 0}}), "greater than or equal to 1", False),
    "a quantity without a unit that there is": (
        department("finance", server={"resources": {"requests": {"memory": "256MB"}}}),
        MEMORY,
        False,
    ),
    "more memory asked for than allowed": (
        department("finance", server={"resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}}),
        "requests.memory is greater than limits.memory",
        False,
    ),
    "a limit of CPU": (
        department("finance", server={"resources": {"limits": {"cpu": "1"}}}),
        '(Department.spec.server.resources.limits): unknown field "cpu"',
        False,
    ),
    "a group that is a space": (department("finance", access={"groups": [" "]}), GROUP, False),
    "a group that ends in a space": (department("finance", access={"groups": ["finance "]}), GROUP, False),
    "a group with a comma": (department("finance", access={"groups": ["finance,hr"]}), GROUP, False),
    "a group with a quotation mark": (department("finance", access={"groups": ['fin"ance']}), GROUP, False),
    "a group with a line break": (department("finance", access={"groups": ["finance\nhr"]}), GROUP, False),
    "a restricted group that begins with a space": (
        department("finance", access={"groups": ["finance"], "restrictedGroups": [" leads"]}),
        GROUP,
        False,
    ),
    "a blank display name": (department("finance", displayName="  "), ONE_LINE, False),
    "a display name of two lines": (department("finance", displayName="Finance\nand more"), ONE_LINE, False),
    "an alias that is the key": (
        department("finance", **dataset(aliases=["Vendor_ID"])),
        "an alias is the key itself",
        False,
    ),
    "an alias twice, in other case": (
        department("finance", **dataset(aliases=["vendor", "Vendor"])),
        "differ in upper and lower case only",
        False,
    ),
    "two data sets of one key": (
        department("finance", datasets=[*spec()["datasets"], OTHER | {"key": "vendor_id"}]),
        "two data sets have the same key",
        False,
    ),
    "two data sets of one object": (
        department("finance", datasets=[*spec()["datasets"], OTHER | {"object": "vendors.csv"}]),
        "two data sets have the same object",
        False,
    ),
    "an empty pattern": (department("finance", **dataset(pattern="")), "spec.datasets[0].pattern", False),
    "a restricted key": (
        department("finance", access=LEADS, **dataset(restrictedColumns=["vendor_id"])),
        "the key cannot be restricted",
        False,
    ),
    "a search over a restricted column": (
        department("finance", access=LEADS, **dataset(search=["name", "iban"], restrictedColumns=["iban"])),
        "a restricted column cannot be searched",
        False,
    ),
    "restricted columns that nobody may see": (
        department("finance", **dataset(restrictedColumns=["iban"])),
        "are seen by nobody",
        False,
    ),
    "memory in bytes that was meant otherwise": (
        department("finance", server={"resources": {"limits": {"memory": "512"}}}),
        "a server needs at least 64Mi; a number without a unit is of bytes",
        False,
    ),
    "more memory than any node has": (
        department("finance", server={"resources": {"limits": {"memory": "900Gi"}}}),
        "no node has more than 28Gi",
        False,
    ),
    "more processors than any node has": (
        department("finance", server={"resources": {"requests": {"cpu": "100"}}}),
        "no node has more than 7 cores",
        False,
    ),
    "less disk than a server needs": (department("finance", server={"storage": "5M"}), "and at least 1Gi", False),
    "more disk than any node has": (
        department("finance", server={"storage": "2Ti"}),
        "no node has more than 80Gi to give",
        False,
    ),
    "a word for yes": (
        department("finance", server={"spreadAcrossZones": "yes"}),
        'got "string", expected "boolean"',
        False,
    ),
    "a name that ends with a dash": (department("finance-"), "does not end with a dash", True),
    "a display name that is a number": (department("finance", displayName=7), "must be of type string", True),
    "a display name that begins with a space": (department("finance", displayName=" Finance"), ONE_LINE, False),
    "a display name that is a space of another kind": (department("finance", displayName="\u00a0"), ONE_LINE, False),
    "a display name with another kind of line break": (department("finance", displayName="A\u2028B"), ONE_LINE, False),
    "a toolset in capitals": (
        department("finance", toolset="HR"),
        "the toolset is generic, finance, hr or legal",
        True,
    ),
    "groups without a word before them": (
        department("finance", access=["finance"]),
        TYPE.format("array", "map"),
        True,
    ),
    "restricted groups alone": (
        department("finance", access={"restrictedGroups": ["leads"]}),
        'missing required field "groups"',
        True,
    ),
    "a person instead of a group": (
        department("finance", access={"groups": ["finance"], "users": ["amina"]}),
        'unknown field "users"',
        True,
    ),
    "a group that is a number": (department("finance", access={"groups": [7]}), "must be of type string", True),
    "a group with a tab": (department("finance", access={"groups": ["fin\tance"]}), GROUP, False),
    "a group that ends in a space of another kind": (
        department("finance", access={"groups": ["finance\u00a0"]}),
        GROUP,
        False,
    ),
    "an empty restricted group": (
        department("finance", access={"groups": ["finance"], "restrictedGroups": [""]}),
        GROUP,
        False,
    ),
    "more groups than are compared": (
        department("finance", access={"groups": [f"group-{number}" for number in range(65)]}),
        "must have at most 64 items",
        False,
    ),
    "data sets by name": (
        department("finance", datasets={"vendors": {"object": "vendors.csv"}}),
        TYPE.format("map", "array"),
        True,
    ),
    "an object instead of a data set": (department("finance", datasets=["a.csv"]), TYPE.format("string", "map"), True),
    "a data set without a name": (department("finance", **dataset(name=None)), 'required field "name"', True),
    "a data set's name in capitals": (department("finance", **dataset(name="Vendors")), DATASET_NAME, True),
    "a data set's name that is too long": (department("finance", **dataset(name="v" * 40)), DATASET_NAME, True),
    "an object in a folder": (department("finance", **dataset(object="2024/vendors.csv")), FOLDER, True),
    "an object that ends in a space": (department("finance", **dataset(object="vendors.csv ")), FOLDER, True),
    "an object with a line break": (department("finance", **dataset(object="vendors.csv\n")), FOLDER, True),
    "a compressed object": (
        department("finance", **dataset(object="vendors.csv.gz")),
        "an object ends with .csv",
        True,
    ),
    "a key of two columns": (
        department("finance", **dataset(key=["country", "number"])),
        TYPE.format("array", "string"),
        True,
    ),
    "a key that is a space": (department("finance", **dataset(key=" ")), BLANK, False),
    "an alias that is a line break": (department("finance", **dataset(aliases=["\n"])), BLANK, False),
    "an alias without a dash before it": (
        department("finance", **dataset(aliases="vendor")),
        TYPE.format("string", "array"),
        True,
    ),
    "a search over a column without a name": (department("finance", **dataset(search=[""])), BLANK, True),
    "a pattern that looks ahead": (
        department("finance", **dataset(pattern="^(?=V)V$")),
        "invalid or unsupported Perl syntax: `(?=`",
        True,
    ),
    "a pattern that repeats a group": (
        department("finance", **dataset(pattern=r"^(a)\1$")),
        r"invalid escape sequence: `\1`",
        True,
    ),
    "a pattern with a line break": (
        department("finance", **dataset(pattern="^V$\n")),
        "write it in single quotes",
        False,
    ),
    "a pattern between slashes": (department("finance", **dataset(pattern="/^V$/")), "has no slashes around it", False),
    "a number of replicas": (department("finance", server={"replicas": 3}), TYPE.format("integer", "map"), False),
    "more replicas than there is room for": (
        department("finance", server={"replicas": {"max": 51}}),
        "less than or equal to 50",
        False,
    ),
    "a unit in lower case": (
        department("finance", server={"resources": {"limits": {"memory": "512mi"}}}),
        MEMORY,
        False,
    ),
    "memory of less than nothing": (
        department("finance", server={"resources": {"requests": {"memory": "-1Gi"}}}),
        MEMORY,
        False,
    ),
    "thousandths of a byte": (
        department("finance", server={"resources": {"limits": {"memory": "512m"}}}),
        "a server needs at least 64Mi",
        False,
    ),
    "no processor": (department("finance", server={"resources": {"requests": {"cpu": 0}}}), CPU, False),
    "a number in words": (department("finance", server={"resources": {"requests": {"cpu": "one"}}}), CPU, False),
    "less than a hundredth of a processor": (
        department("finance", server={"resources": {"requests": {"cpu": "1n"}}}),
        CPU,
        False,
    ),
    "an image": (department("finance", server={"image": "mcp-server:2"}), 'unknown field "image"', False),
    "a field beside the specification": ({**department("finance"), "datasets": []}, 'unknown field "datasets"', False),
    "a version that there is not": (
        {**department("finance"), "apiVersion": "fileprocessing.internal/v1"},
        'no matches for kind "Department" in version "fileprocessing.internal/v1"',
        True,
    ),
}

RIGHT: dict[str, Object] = {
    "the least": department("finance"),
    "a name of 40 characters": department("f" * 40),
    "names of several words": department(
        "finance",
        displayName="Finance\u00a0& tax",
        access={"groups": ["Finance\u00a0Leads"]},
        **dataset(key="Vendor number", aliases=["Lieferant\nNr."]),
    ),
    "every field": department(
        "finance",
        toolset="finance",
        access={"groups": ["finance"], "restrictedGroups": ["finance-leads"]},
        **dataset(
            aliases=["vendor"],
            pattern=r"^(?:V|W)-(?P<number>[0-9]{5})\.$",
            search=["name"],
            restrictedColumns=["iban"],
        ),
        server={
            "replicas": {"min": 2, "max": 2},
            "resources": {"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"memory": "1024Mi"}},
            "storage": "20Gi",
            "spreadAcrossZones": False,
        },
    ),
    "quantities as numbers": department("finance", server={"resources": {"requests": {"cpu": 1, "memory": 268435456}}}),
}
