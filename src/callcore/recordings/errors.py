"""What can go wrong with kept recordings, by whose fault it is, in Japanese and English, with what to do next."""

from __future__ import annotations

from pathlib import Path


class RecordingError(Exception):
    """Root of all errors of this package. The text is bilingual and says what to do."""


class NotSealed(RecordingError):
    def __init__(self, file: Path) -> None:
        super().__init__(
            f"{file} は callcore が暗号化した録音ではありません。バックアップから戻してください / "
            f"{file} is no recording that callcore encrypted; put it back from the back-up"
        )


class Altered(RecordingError):
    def __init__(self, file: Path, at: int) -> None:
        super().__init__(
            f"録音 {file} は書き換えられています(音の {at} バイト目から)。バックアップから戻してください / "
            f"the recording {file} was altered (from byte {at} of its sound on); put it back from the back-up"
        )


class Truncated(RecordingError):
    def __init__(self, file: Path, size: int, wanted: int) -> None:
        super().__init__(
            f"録音 {file} は途中で切れています({wanted} バイトのうち {size})。"
            "バックアップから戻してください / "
            f"the recording {file} is cut off ({size} of {wanted} bytes); put it back from the back-up"
        )


class KeyLost(RecordingError):
    """A key that was never destroyed is not there."""

    def __init__(self, file: Path) -> None:
        self.file = file
        super().__init__(
            f"録音の鍵がありません: {file}。鍵のバックアップから戻してください。それまで録音は開けません / "
            f"a key of recordings is missing: {file}; put it back from the back-up of the keys. "
            "Until then the recording cannot be opened"
        )


class WrongKey(RecordingError):
    def __init__(self, file: Path) -> None:
        super().__init__(
            f"録音の鍵が合いません: {file}。同じ日の鍵のバックアップから戻してください / "
            f"this key of recordings does not fit: {file}; put it back from the same day's back-up of the keys"
        )


class KeyDestroyed(RecordingError):
    """Erased on purpose: nobody can open it any more."""

    def __init__(self, name: str) -> None:
        super().__init__(f"録音 {name} は消去済みです / the recording {name} was erased")


class KeyOpen(RecordingError):
    def __init__(self, file: Path) -> None:
        super().__init__(
            f"{file}: 他の利用者が読めます。chmod 600 の後、callcore recordings keys rotate で替えてください / "
            "others can read it; chmod 600 it, then change it by callcore recordings keys rotate"
        )


class SigningKeyLost(RecordingError):
    def __init__(self, file: Path) -> None:
        super().__init__(
            f"署名の鍵 {file} がありません。鍵のバックアップから戻してください。"
            "どこにもないときだけ callcore recordings keys replace / "
            f"the signing key {file} is missing; put it back from the back-up of the keys. "
            "Only if there is none anywhere: callcore recordings keys replace"
        )


class NotItsKey(RecordingError):
    """No public key at hand fits what was signed."""

    def __init__(self, file: Path) -> None:
        super().__init__(
            f"{file} の署名が、ここにある公開鍵のどれとも合いません。その鍵を鍵のバックアップから戻してください。"
            "署名の鍵がどこにもないときは、市に渡した公開鍵を callcore recordings keys replace --former で"
            "指定してください / "
            f"the signature of {file} fits none of the public keys that are here; put its key back from the back-up of "
            "the keys. If the signing key is lost for good, name the public key that the city has by "
            "callcore recordings keys replace --former"
        )


class NothingLost(RecordingError):
    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"これからの録音に要る鍵は {folder} にそろっています。替えるものはありません / "
            f"every key that new recordings need is in {folder}: there is nothing to replace"
        )


class StoreAway(RecordingError):
    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"録音の保管先 {folder} がありません。ディスクの接続を確かめてください。"
            "失われたのなら、バックアップから戻すか、空のフォルダを作ってください / "
            f"the recordings' store {folder} is not there; see whether its disk is mounted. "
            "If it is lost, put it back from the back-up, or make an empty folder"
        )


class StillWritten(RecordingError):
    """Not to be shown to people: it will be tried again."""
