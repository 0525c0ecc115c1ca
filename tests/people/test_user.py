"""New passwords: which are rejected, and why."""

import pytest

from clickloop.people.user import password_faults


@pytest.mark.parametrize(
    "password",
    [
        "password1234",
        "Password123!",
        "qwertyuiop",
        "1q2w3e4r5t",
        "1234567890",
        "0987654321",
        "iloveyou12",
        "letmein1234",
        "admin12345",
        "clickloop1",
        "clickloop2026",
        "anna-buyer1",
        "aaaaaaaaaaaa",
        "abcabcabcabc",
        "a" * 1_000,
        "11111111112222222222",
    ],
)
def test_a_password_that_is_easy_to_guess_is_rejected_with_a_reason(password: str) -> None:
    (fault,) = password_faults("password", password, "anna-buyer")
    assert fault.field == "password"
    assert fault.message.startswith("This password is too easy to guess. ")
    assert password not in fault.message


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "mfkd82nAl!",
        "тестпароль Ёлка 17",
        "four unrelated words here",
        "x7#Lq9-vTr2",
        "x7#Lq9-vTr2" * 90,
        "日本語のパスワードです",
    ],
)
def test_a_good_password_is_accepted(password: str) -> None:
    assert password_faults("password", password, "anna-buyer") == []


@pytest.mark.parametrize(("password", "count"), [("short", "has 5"), ("x" * 1_001, "has 1001")])
def test_a_wrong_length_is_reported(password: str, count: str) -> None:
    (fault,) = password_faults("password", password, "anna")
    assert count in fault.message


def test_the_user_name_is_rejected_as_password() -> None:
    (fault,) = password_faults("password", "Anna-The-Buyer", "anna-the-buyer")
    assert "must differ from the user name" in fault.message
