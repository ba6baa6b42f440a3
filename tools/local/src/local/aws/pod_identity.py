"""What moto leaves out of EKS: Pod Identity associations. One per cluster, namespace and ServiceAccount, as on AWS.

Rules: https://docs.aws.amazon.com/eks/latest/APIReference/API_CreatePodIdentityAssociation.html
"""

import json
import re
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from werkzeug.wrappers import Request, Response

from local.names import ACCOUNT, REGION

PATH: Final = re.compile(r"^/clusters/(?P<cluster>[^/]+)/pod-identity-associations(/(?P<association>[^/]+))?$")
REQUIRED: Final = ("namespace", "serviceAccount", "roleArn")
PAGE: Final = 100

Association = dict[str, Any]


class Refused(Exception):
    """EKS would not do this; `code` is the error's name there."""

    def __init__(self, code: str, status: int, message: str) -> None:
        """What the caller is told."""
        super().__init__(message)
        self.code, self.status = code, status


@dataclass(slots=True)
class PodIdentityAssociations:
    """In front of moto's application: these calls of EKS are answered here, all else by `app`."""

    app: Callable[..., Any]
    _associations: dict[str, Association] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """A WSGI application."""
        found = PATH.match(environ["PATH_INFO"])
        if found is None:
            return self.app(environ, start_response)
        request = Request(environ)
        with self._lock:
            try:
                answer = self._answer(request, found["cluster"], found["association"])
            except Refused as refusal:
                response = _json({"message": str(refusal)}, refusal.status)
                response.headers["x-amzn-ErrorType"] = refusal.code
            else:
                response = _json(answer)
        return response(environ, start_response)

    def _answer(self, request: Request, cluster: str, association: str | None) -> dict[str, Any]:
        if association is None:
            if request.method == "POST":
                return {"association": self._create(cluster, json.loads(request.get_data()))}
            return self._list(cluster, request)
        known = self._associations.get(association)
        if known is None or known["clusterName"] != cluster:
            raise Refused("ResourceNotFoundException", 404, f"No association {association} in cluster {cluster}")
        if request.method == "DELETE":
            del self._associations[association]
        elif request.method == "POST":
            known.update(json.loads(request.get_data()), modifiedAt=time.time())
        return {"association": known}

    def _create(self, cluster: str, asked: dict[str, Any]) -> Association:
        if missing := [name for name in REQUIRED if not asked.get(name)]:
            raise Refused("InvalidParameterException", 400, f"{', '.join(missing)} must be given")
        if asked.get("tags"):
            # A create that tags needs the right to tag too, which the role of the only caller, the operator, lacks:
            # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelastickubernetesservice.html
            raise Refused("AccessDeniedException", 403, "not authorized to perform: eks:TagResource")
        for known in self._associations.values():
            if known["clusterName"] == cluster and all(known[name] == asked[name] for name in REQUIRED[:2]):
                raise Refused("ResourceInUseException", 409, f"Association already exists: {known['associationId']}")
        identifier = f"a-{secrets.token_hex(8)}"
        now = time.time()
        made = {
            "clusterName": cluster,
            **{name: asked[name] for name in REQUIRED},
            "tags": {},
            "associationId": identifier,
            "associationArn": f"arn:aws:eks:{REGION}:{ACCOUNT}:podidentityassociation/{cluster}/{identifier}",
            "createdAt": now,
            "modifiedAt": now,
        }
        self._associations[identifier] = made
        return made

    def _list(self, cluster: str, request: Request) -> dict[str, Any]:
        wanted = {"clusterName": cluster} | {
            name: request.args[name] for name in ("namespace", "serviceAccount") if name in request.args
        }
        found = [
            {name: known[name] for name in (*REQUIRED[:2], "clusterName", "associationArn", "associationId")}
            for known in self._associations.values()
            if all(known[name] == value for name, value in wanted.items())
        ]
        start = int(request.args.get("nextToken", 0))
        end = start + min(PAGE, int(request.args.get("maxResults", PAGE)))
        return {"associations": found[start:end]} | ({"nextToken": str(end)} if end < len(found) else {})


def _json(document: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(document), status, content_type="application/json")
