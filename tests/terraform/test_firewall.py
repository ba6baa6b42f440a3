"""Whom the firewall's rates refuse: requests judged by the plan's rules as AWS WAF judges them.

A rate rule counts the requests of five minutes that its scope-down statement matches, by address, and refuses those
above its limit: https://docs.aws.amazon.com/waf/latest/developerguide/waf-rule-statement-type-rate-based.html. A match
statement on a header that a request lacks does not match.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pytest

from infrastructure.resources import Plan, resources

pytestmark = pytest.mark.slow

SESSION: Final = {"cookie": "theme=dark; AWSELBAuthSessionCookie-0=abc; AWSELBAuthSessionCookie-1=def"}
TOKEN: Final = {"authorization": "Bearer eyJhbGciOiJSUzI1NiJ9"}
REQUESTS_OF_A_PAGE: Final = 1880 + 100
"""Every file of Langflow's page (`ls langflow/frontend/assets`), and calls of its API."""


def matches(statement: Mapping[str, Any], headers: Mapping[str, str]) -> bool:
    """Whether a statement of the plan matches a request; kinds that the rate rules do not use are refused."""
    ((kind, (body,)),) = ((name, value) for name, value in statement.items() if value)
    if kind == "not_statement":
        return not matches(body["statement"][0], headers)
    if kind == "or_statement":
        return any(matches(each, headers) for each in body["statement"])
    assert kind == "byte_match_statement", kind
    value = headers.get(body["field_to_match"][0]["single_header"][0]["name"])
    assert [each["type"] for each in body["text_transformation"]] == ["LOWERCASE"]
    judge = {"CONTAINS": str.__contains__, "STARTS_WITH": str.startswith}[body["positional_constraint"]]
    return value is not None and judge(value.lower(), body["search_string"])


def refused(plan: Plan, requests: Sequence[tuple[Mapping[str, str], int]]) -> bool:
    """Whether requests of one address within five minutes, given by their headers and number, reach a limit."""
    (acl,) = resources(plan, "aws_wafv2_web_acl")
    counts: Counter[str] = Counter()
    limits: dict[str, int] = {}
    for rule in acl.values["rule"]:
        for rate in rule["statement"][0]["rate_based_statement"]:
            assert rate["aggregate_key_type"] == "IP"
            assert rate["evaluation_window_sec"] == 300
            limits[rule["name"]] = rate["limit"]
            scope = rate["scope_down_statement"]
            counts[rule["name"]] = sum(
                number for headers, number in requests if not scope or matches(scope[0], headers)
            )
    assert limits
    return any(counts[name] > limit for name, limit in limits.items())


@pytest.fixture(params=["dev", "prod"])
def plan(request: pytest.FixtureRequest) -> Plan:
    planned: Plan = request.getfixturevalue(f"{request.param}_plan")
    return planned


def test_an_office_behind_one_address_loads_the_page(plan: Plan) -> None:
    of_people: list[tuple[Mapping[str, str], int]] = [({}, 4 * 100), (SESSION, REQUESTS_OF_A_PAGE * 100)]
    assert not refused(plan, [*of_people, (TOKEN, 1000)])


def test_an_address_that_does_not_log_in_is_refused_early(plan: Plan) -> None:
    assert refused(plan, [({}, 2001)])
    assert refused(plan, [({"cookie": "session=1", "authorization": "Basic YTpi"}, 2001)])
    assert not refused(plan, [({}, 2000)])


def test_invented_credentials_do_not_lift_the_limit_of_an_address(plan: Plan) -> None:
    assert refused(plan, [(SESSION, 150_000), (TOKEN, 50_001)])


def test_both_load_balancers_accept_tls_1_3_alone_and_reach_pods_by_http_from_their_groups(plan: Plan) -> None:
    """The policy accepts one protocol:
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
    """
    listeners = [each for each in resources(plan, "aws_lb_listener") if each.values["port"] == 443]
    assert {each.values["ssl_policy"] for each in listeners} == {"ELBSecurityPolicy-TLS13-1-3-2021-06"}
    assert len(listeners) == 2
    assert {each.values["protocol"] for each in resources(plan, "aws_lb_target_group")} == {"HTTP"}
