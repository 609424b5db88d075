"""Erasing with proof: what is kept of calls made unreadable and removed, looked for afterwards, and reported.

- `markers`: how a number can stand in a file, and where it does. `books`: Asterisk's own files, in which it stands in
  clear. `search`: every byte of every place, for what must be gone.
- `sounds`: keys, files and chain of recordings. `copies`: the same in back-ups that this machine reaches.
- `plan`: what was begun, on the disk, so that it is finished whatever dies. `report`: 作業完了報告書.
- `clock`: what is known against the clock, so that nothing is erased early.

`callcore.erasure` puts them together.
"""
