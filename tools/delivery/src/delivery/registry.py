"""What is common to the commands that speak with the registry of images: crane, and the login to ECR."""

import base64
import re
import subprocess
import sys
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from delivery.errors import DeliveryError

ECR = re.compile(r"[0-9]{12}\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com")
MISSING = ("MANIFEST_UNKNOWN", "NAME_UNKNOWN", "404 Not Found")
SECONDS = 900


def log_in(crane: str, registry: str) -> None:
    """Log in to ECR by the AWS credentials at hand, for cosign too; other registries are used as they are."""
    host = ECR.fullmatch(registry)
    if not host:
        return
    try:
        (given,) = boto3.client("ecr", region_name=host[1]).get_authorization_token()["authorizationData"]
    except (BotoCoreError, ClientError) as error:
        raise DeliveryError(f"{registry} gives no access: {error}") from None
    user, _, password = base64.b64decode(given["authorizationToken"]).decode().partition(":")
    run_program(crane, "auth", "login", registry, "--username", user, "--password-stdin", stdin=password)


def digest(crane: str, reference: str) -> str | None:
    """The digest that a tag stands for in the registry; None where there is no such tag."""
    try:
        return run_program(crane, "digest", reference).strip()
    except DeliveryError as error:
        if any(word in str(error) for word in MISSING):
            return None
        raise


def tag(crane: str, image: str, version: str, name: str) -> bool:
    """Give the image of this version one more tag, `name`; returns whether it is new.

    Raises:
        DeliveryError: There is no such image, or another one has the tag, which the registry never moves.
    """
    wanted, there = digest(crane, f"{image}:{version}"), digest(crane, f"{image}:{name}")
    if wanted is None:
        raise DeliveryError(f"{image}:{version} is not in the registry")
    if there is None:
        run_program(crane, "tag", f"{image}:{version}", name)
    elif there != wanted:
        raise DeliveryError(f"{image}:{name} is {there}, and not {wanted}, which {image}:{version} is")
    return there is None


def run_program(*command: str, stdin: str | None = None) -> str:
    """What a program prints; its progress goes to standard error, and its last words are the error's."""
    name = Path(command[0]).name
    try:
        done = subprocess.run(command, input=stdin or "", capture_output=True, text=True, check=False, timeout=SECONDS)
    except FileNotFoundError:
        raise DeliveryError(f"{name} is missing: install it, and put it on PATH") from None
    except subprocess.TimeoutExpired:
        raise DeliveryError(f"{name} {command[1]} took longer than {SECONDS} s") from None
    sys.stderr.write(done.stderr)
    if done.returncode:
        raise DeliveryError(f"{name} {command[1]} failed: {done.stderr.strip()[-1000:]}")
    return done.stdout
