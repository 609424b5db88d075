"""What is wrong with a prompt, and what to do about it, in Japanese and English."""

from __future__ import annotations

from pathlib import Path

from callcore.prompts import shelf

_BUILD = ("callcore prompts build で作ってください", "make it: callcore prompts build")
_RECORD = (
    "新しい文で録音し直して callcore prompts use で入れるか、録音を消して作り直してください",
    "record the new text and bring it in with callcore prompts use, or take the recording away and build",
)
_BY_HAND = (
    "人の録音なら callcore prompts use で入れてください。そうでなければ消して callcore prompts build",
    "if a person spoke it, bring it in with callcore prompts use; else delete it, then callcore prompts build",
)


def said(fault: shelf.Fault, sounds: Path, name: str) -> tuple[str, str]:
    path = shelf.ulaw_of(sounds, name)
    text = shelf.text_of(sounds, name)
    return {
        "missing": (f"音声 {path} がありません", f"the prompt {path} is missing"),
        "not_made_here": (
            f"音声 {path} は callcore が作ったものではありません",
            f"the prompt {path} was not made by callcore",
        ),
        "text_missing": (f"文 {text} がありません", f"the text {text} is missing"),
        "text_differs": (
            f"音声 {path} は別の文から作られています",
            f"the prompt {path} was made from another text",
        ),
    }[fault]


def mend(fault: shelf.Fault, sounds: Path, name: str) -> tuple[str, str]:
    """What to do about it, in both languages."""
    if fault == "text_missing":
        return (
            "1行で文を書き、callcore prompts build",
            "write the text on one line, then callcore prompts build",
        )
    if fault == "not_made_here":
        return _BY_HAND
    made = shelf.made_of(sounds, name)
    return _RECORD if fault == "text_differs" and made is not None and made.source == "recorded" else _BUILD
