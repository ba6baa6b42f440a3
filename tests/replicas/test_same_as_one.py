"""What `tests/frontend` shows of one replica, shown of three, where each request goes to any of them.

These are the same tests: `site` is another one here.
"""

import pytest
from tests.frontend.test_chat import (
    test_a_broken_file_is_a_sentence_in_the_chat,
    test_a_reload_of_the_chat_in_the_middle_leaves_the_work_going_on,
    test_the_chat_shows_the_first_rows_progress_and_the_report_as_tables,
    test_who_may_use_no_department_is_told_whom_to_ask_in_the_chat,
)
from tests.frontend.test_first_page import (
    test_a_broken_file_is_explained_in_a_sentence,
    test_a_reload_in_the_middle_of_a_job_loses_nothing,
    test_a_user_without_any_department_is_told_whom_to_ask,
)
from tests.frontend.test_login import (
    test_an_expired_login_in_the_chat_leads_to_the_login_and_back_to_the_chat,
    test_an_expired_login_on_the_first_page_is_told_and_mended_by_one_click,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

__all__ = [
    "test_a_broken_file_is_a_sentence_in_the_chat",
    "test_a_broken_file_is_explained_in_a_sentence",
    "test_a_reload_in_the_middle_of_a_job_loses_nothing",
    "test_a_reload_of_the_chat_in_the_middle_leaves_the_work_going_on",
    "test_a_user_without_any_department_is_told_whom_to_ask",
    "test_an_expired_login_in_the_chat_leads_to_the_login_and_back_to_the_chat",
    "test_an_expired_login_on_the_first_page_is_told_and_mended_by_one_click",
    "test_the_chat_shows_the_first_rows_progress_and_the_report_as_tables",
    "test_who_may_use_no_department_is_told_whom_to_ask_in_the_chat",
]
