"""What can go wrong with the journal, by whose fault it is, in Japanese and English, with what to do next."""

from __future__ import annotations

from pathlib import Path


class JournalError(Exception):
    """Root of all errors of this package. The text is bilingual and says what to do."""


class JournalLocked(JournalError):
    """Another process writes this journal. `pid` is its process number where it could be read."""

    def __init__(self, folder: Path, pid: int | None) -> None:
        self.pid = pid
        who = "?" if pid is None else str(pid)
        super().__init__(
            f"ジャーナル {folder} は別の callcore (PID {who}) が使用中です。"
            f"そのプロセスを止めてから起動してください。 / "
            f"The journal {folder} is in use by another callcore (PID {who}). "
            f"Stop that process, then start again."
        )


class JournalDamaged(JournalError):
    """Bytes that were once safely on the disk are gone or changed. Never mended silently."""

    def __init__(self, file: Path, offset: int, what: str) -> None:
        self.file = file
        self.offset = offset
        super().__init__(
            f"ジャーナルが壊れています: {file} の {offset} バイト目 ({what})。"
            f"フォルダ全体を複製し、バックアップからこのファイルを戻してください。"
            f"なければ docs/journal.md「壊れたとき」の手順に従ってください。 / "
            f"The journal is damaged: {file} at byte {offset} ({what}). "
            f"Copy the whole folder, and put this file back from the back-up; "
            f"without one follow docs/journal.md, 'When it is damaged'."
        )


class JournalNewer(JournalError):
    """The file was written by a callcore with a newer format."""

    def __init__(self, file: Path, version: int) -> None:
        super().__init__(
            f"{file} は新しい callcore の形式 ({version}) です。"
            f"このジャーナルを書いた版以降の callcore で起動してください。 / "
            f"{file} has the format ({version}) of a newer callcore. "
            f"Start the callcore that wrote this journal, or a newer one."
        )


class JournalGap(JournalError):
    """Frames that were asked for are no longer (or not yet) in this folder."""

    def __init__(self, folder: Path, wanted: tuple[int, int] | None, found: tuple[int, int]) -> None:
        super().__init__(
            f"ジャーナル {folder} に {wanted} から {found} までの記録がありません。"
            f"欠けているファイルをバックアップから戻してください。 / "
            f"The journal {folder} lacks the frames after {wanted} up to {found}. "
            f"Put the missing files back from the back-up."
        )


class SpoolFull(JournalError):
    """No room for the frame. Nothing of it stays in the file; the same frame may be appended again."""

    def __init__(self, folder: Path, cause: OSError) -> None:
        super().__init__(
            f"ジャーナル {folder} に書き込む空き容量がありません ({cause})。"
            f"容量を空けてください。自動で再開します。 / "
            f"No room to write the journal {folder} ({cause}). Free some space; writing goes on by itself."
        )


class SpoolBroken(JournalError):
    """The disk refuses to write or to sync. Nothing of the frame counts as written; it may be tried again."""

    def __init__(self, folder: Path, why: object) -> None:
        super().__init__(
            f"ジャーナル {folder} をディスクに書き込めません ({why})。"
            f"ディスクを確認してください (dmesg, smartctl)。 / "
            f"The journal {folder} cannot be written to disk ({why}). Look at the disk (dmesg, smartctl)."
        )


class CodecError(JournalError):
    """A fact that can't be written or read: an unknown kind or version, or a field of another type."""


class KeyLost(JournalError):
    """A key that was never destroyed is not there."""


class CallKeyLost(KeyLost):
    """That of one call alone: the other keys of its centre and month are there."""


class KeyDamaged(JournalError):
    """A key, or a value sealed under it, does not open: changed bytes or the wrong key."""
