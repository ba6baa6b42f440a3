"""Questions about a mapping, as the JSON that callers see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from application.engine import Question
from application.http.schemas import QuestionDocument


def question_documents(questions: Sequence[Question]) -> list[dict[str, Any]]:
    """What the caller must decide."""
    return [question_document(question).model_dump() for question in questions]


def question_document(question: Question) -> QuestionDocument:
    """One question."""
    return QuestionDocument(column=question.column, candidates=list(question.candidates), detail=question.detail)
