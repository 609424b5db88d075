"""Every text of the pages, in Japanese and English. `{…}` is filled in by the page.

The terms are those of the definitions.
"""

from __future__ import annotations

from typing import Literal

Language = Literal["ja", "en"]

LANGUAGES: tuple[Language, ...] = ("ja", "en")

TABLE: dict[str, tuple[str, str]] = {
    "title": ("ライブ状況", "Live status"),
    "skip": ("本文へ", "Skip to content"),
    "language": ("表示言語", "Language"),
    "centres": ("センター", "Centres"),
    "nothing": (
        "センターがまだ読み込まれていません。エンジンが起動すると表示されます。",
        "No centre is loaded yet. It appears once the engine has started.",
    ),
    "noscript": (
        "この画面には JavaScript が必要です。ブラウザーの設定で有効にしてください。",
        "This page needs JavaScript. Please switch it on in your browser.",
    ),
    # connection
    "conn.connecting": ("接続しています…", "Connecting…"),
    "conn.live": ("最新", "Live"),
    "conn.lost": (
        "接続が切れています({time} から)。下の内容は {time} 時点のものです。自動で再接続しています。",
        "Connection lost (since {time}). What is below is as of {time}. Reconnecting by itself.",
    ),
    "conn.engine": (
        "交換制御から {seconds} 秒間応答がありません。下の内容は {time} 時点のものです。通話は続いています。"
        "続くときは管理者に連絡してください。",
        "The engine has been silent for {seconds} s. What is below is as of {time}. Calls go on. "
        "If this stays, tell the operator of the system.",
    ),
    "conn.unlinked": (
        "Asterisk との接続がありません。下の内容は最新でないことがあります。待ち呼は非常時分配で応答されます。",
        "No link to Asterisk. What is below may be out of date. Waiting callers are served by the safety net.",
    ),
    "conn.lost.short": ("切断", "Lost"),
    "conn.engine.short": ("停止中", "Stale"),
    "conn.unlinked.short": ("Asterisk 未接続", "No Asterisk"),
    # hours
    "open": ("営業中", "Open"),
    "closed": ("時間外", "Closed"),
    "until": ("{time} まで", "until {time}"),
    # figures
    "today": ("本日 {date}", "Today, {date}"),
    "now": ("現在", "Now"),
    "waiting": ("待ち", "Waiting"),
    "longest": ("最長待ち", "Longest wait"),
    "free": ("受付可", "Ready"),
    "answer_ratio": ("応答率", "Answer ratio"),
    "service_level": ("SL({seconds} 秒以内)", "SL (within {seconds} s)"),
    "parts": ("{part} / {whole} 件", "{part} / {whole} calls"),
    "target": ("目標 {percent}", "target {percent}"),
    "met": ("達成", "met"),
    "missed": ("未達", "missed"),
    "offered": ("応答対象", "Offered"),
    "answered": ("応答", "Answered"),
    "abandoned": ("放棄", "Abandoned"),
    "abandoned_short": ("うち短時間 {n}", "{n} short"),
    "closed_calls": ("時間外", "Closed"),
    "arrived": ("総着信", "Arrived"),
    "lost_otherwise": ("その他未応答", "Unanswered"),
    "wait_max": ("応答の最長待ち", "Max wait"),
    "wait_mean": ("平均応答速度", "ASA"),
    "open_calls": ("未終了 {n} 件", "{n} open"),
    "final": ("全件終了", "none open"),
    "reconstructed": ("うち復元 {n} 件", "{n} reconstructed"),
    "tests": ("試験呼 {n} 件を除く", "without {n} test calls"),
    # waiting callers
    "waiting.caption": ("待っている入電者", "Waiting callers"),
    "waiting.empty": ("待っている人はいません", "Nobody is waiting"),
    "col.position": ("順", "Place"),
    "col.number": ("発信番号", "Caller"),
    "col.queue": ("待ち行列", "Queue"),
    "col.stage": ("状態", "State"),
    "col.wait": ("待ち時間", "Wait"),
    "col.estimate": ("予想", "EWT"),
    "col.priority": ("優先", "Prio."),
    "stage.announced": ("案内中", "Announcement"),
    "stage.waiting": ("待ち", "Waiting"),
    "stage.offered": ("呼出中", "Ringing"),
    "offered_to": ("→ {agent}", "→ {agent}"),
    "stage.net": ("非常時分配", "Safety net"),
    "over": ("超過", "late"),
    "withheld": ("非通知・不明", "no number"),
    "hidden": ("非表示", "hidden"),
    # agents
    "agents.caption": ("オペレーター", "Agents"),
    "callbacks": ("折り返し待ち {n} 人", "{n} to be called back"),
    "messages.caption": ("伝言", "Messages"),
    "messages.count": (
        "未対応 {open} 件、うち期限超過 {overdue} 件",
        "{open} open, {overdue} of them overdue",
    ),
    "messages.overdue": ("期限超過", "Overdue"),
    "message.open": ("未着手", "Open"),
    "message.taken": ("対応中", "Taken"),
    "col.due": ("期限", "Due"),
    "col.length": ("長さ", "Length"),
    "agents.empty": ("登録されたオペレーターがいません", "No agents in the centre file"),
    "agents.out": ("受付終了中のオペレーター({n} 人)", "Signed out ({n})"),
    "agents.none_in": ("受付中のオペレーターはいません", "Nobody is signed in"),
    "col.seat": ("席", "Seat"),
    "col.agent": ("番号", "Number"),
    "col.name": ("名前", "Name"),
    "col.phone": ("電話機", "Phone"),
    "col.state": ("状態", "State"),
    "col.since": ("経過", "For"),
    "col.with": ("相手", "With"),
    "state.ready": ("受付可", "Ready"),
    "state.resting": ("受付可・休止", "Ready, resting"),
    "state.reserved": ("呼出開始", "Reserved"),
    "state.ringing": ("呼出中", "Ringing"),
    "state.talking": ("通話中", "Talking"),
    "state.calling_out": ("発信中", "Calling out"),
    "state.acw": ("後処理", "After-call work"),
    "state.paused": ("離席", "Paused"),
    "state.busy": ("他の通話中", "On another call"),
    "state.unreachable": ("電話機不通", "Phone unreachable"),
    "state.signed_out": ("受付終了", "Signed out"),
    "guest": ("兼務", "guest"),
    "misses": ("不応答 {n} 回", "{n} missed"),
    "rung": ("条件緩和 {n}", "relaxed {n}"),
    "held": ("保留中 {time}から", "on hold since {time}"),
    "held_long": ("⚠ 保留超過 {time}から", "⚠ on hold too long, since {time}"),
    "outgoing": ("発信", "Calls out"),
    "emergency": (
        "警報: {time} 席 {seat} から {digits} に通報できませんでした。すぐに本人に確かめてください",
        "Alarm: at {time} seat {seat} could not reach {digits}. Ask there at once",
    ),
    "phone_refused": (
        "警報: 席 {seat} の電話機は台帳と一致せず、発着信できません({why})",
        "Alarm: the phone at seat {seat} is not that of the inventory and gets no call ({why})",
    ),
    "policy_rejections": ("端末ポリシー違反 {n} 件", "{n} refused as no phone of the inventory"),
    "rest": ("残り {time}", "{time} left"),
    "locked": ("暗証番号の誤りで {time} まで停止", "locked out until {time}: wrong PINs"),
    "overran": ("{reason} 超過", "{reason}, too long"),
    "help": ("手上げ", "asks for help"),
    "abuse": ("通報", "reported"),
    "relay": ("電話リレー", "relay call"),
    "recording_paused": ("録音停止中", "not recorded"),
    "alarm.help": ("手上げ: 席 {seat} {name}", "Help: seat {seat} {name}"),
    "alarm.held": (
        "保留超過: 席 {seat} {name}({time} から)",
        "On hold too long: seat {seat} {name} (since {time})",
    ),
    "alarm.locked": (
        "警報: {agent} は暗証番号の誤りで停止中({time} まで)",
        "Alarm: {agent} is locked out for wrong PINs (until {time})",
    ),
    "alarm.emergency": ("{reason}({time} まで)", "{reason} (until {time})"),
    # emergency closure
    "emergency.title": ("臨時休止(緊急案内)", "Emergency closure"),
    "emergency.why": (
        "始めると、入電者には緊急案内が流れ、オペレーターにはつながりません。待っている人も案内を聞いて終わります。"
        "通話中の人はそのまま話せます。終わりの時刻が来ると自動で元に戻ります。",
        "While it lasts callers hear the emergency announcement and reach no agent; who waits hears it too, and talks "
        "go on. It ends by itself at the time given.",
    ),
    "emergency.on": ("臨時休止中", "On"),
    "emergency.off": ("通常", "Off"),
    "emergency.since": ("開始", "Since"),
    "emergency.until": ("終わり", "Until"),
    "emergency.until.hint": (
        "{zone}。空欄なら次の午前0時まで",
        "{zone}. Left empty: until the next midnight",
    ),
    "emergency.by": ("切り替えた人", "By"),
    "emergency.reason": ("理由", "Reason"),
    "emergency.reason.hint": (
        "画面と監査記録に残ります。例: 台風のため",
        "Shown on the board and kept in the audit trail",
    ),
    "emergency.begin": ("臨時休止を始める", "Begin the emergency closure"),
    "emergency.change": ("理由と終わりを変える", "Change reason and end"),
    "emergency.end": ("臨時休止を終える", "End the emergency closure"),
    "emergency.none": ("切り替えられるセンターがありません", "There is no centre that you may switch"),
    # unwelcome callers
    "blocked.title": ("迷惑電話の一覧", "Unwelcome callers"),
    "blocked.why": (
        "発信者を、理由と終わりを付けて載せます。だれがいつ載せ、外したかは監査記録に残ります(番号は残りません)。",
        "A caller is listed with a reason and an end. Who listed and took off whom is kept in the audit trail, without "
        "the number.",
    ),
    "blocked.rule.serve": (
        "一覧にある方も、ふつうにおつなぎします。取る前の電話機に「要注意」と出ます。",
        "Listed callers are served as everybody; the phone shows 要注意 before it is answered.",
    ),
    "blocked.rule.announce": (
        "一覧にある方には、お受けしていない旨の案内が流れます。9 を押した方だけオペレーターにつながります。",
        "Listed callers hear that their calls are not taken; only who presses 9 reaches an agent.",
    ),
    "blocked.caption": ("載っている発信者(新しい順)", "Listed callers, the newest first"),
    "blocked.since": ("登録", "Listed"),
    "blocked.until": ("終わり", "Until"),
    "blocked.until.hint": (
        "{zone}。365日以内。近くにして、毎月見直します",
        "{zone}. At most 365 days ahead; a near one is better",
    ),
    "blocked.by": ("登録した人", "By"),
    "blocked.gone": ("非表示または消去済み", "hidden, or erased"),
    "blocked.none": ("載っている発信者はいません", "Nobody is listed"),
    "blocked.nowhere": ("一覧を扱えるセンターがありません", "There is no centre whose list you may see"),
    "blocked.add": ("発信者を載せる", "List a caller"),
    "blocked.number.hint": (
        "例: 09012345678。すでにある番号は、理由と終わりが改まります",
        "E.g. 09012345678. A number that is listed already gets the new reason and end",
    ),
    "blocked.reason.hint": (
        "一覧と監査記録に残ります。例: 暴言を繰り返す",
        "Kept in the list and the audit trail",
    ),
    "blocked.remove": ("外す", "Take off"),
    "blocked.remove.this": ("{number} を外す", "Take {number} off"),
    "blocked.trail": ("この一覧の監査記録", "The audit trail of this list"),
    # every page about people
    "nav.label": ("メニュー", "Menu"),
    "nav.board": ("ライブ状況", "Live status"),
    "nav.emergency": ("臨時休止", "Emergency"),
    "nav.blocked": ("迷惑電話", "Unwelcome callers"),
    "nav.users": ("利用者", "Users"),
    "nav.audit": ("監査記録", "Audit trail"),
    "nav.account": ("アカウント", "Account"),
    "sign_in": ("サインイン", "Sign in"),
    "sign_in.go": ("サインインへ", "Go to sign in"),
    "sign_in.forgotten": (
        "パスワードを忘れたときは、管理者に新しいリンクを頼んでください。",
        "If you have forgotten your password, ask your administrator for a new link.",
    ),
    "sign_out": ("サインアウト", "Sign out"),
    "message.home": ("最初のページへ", "To the first page"),
    "error": ("できませんでした。", "That did not work."),
    "reason": ("理由", "Reason"),
    "reason.hint": (
        "監査記録に残ります。例: 異動のため",
        "Kept in the audit trail, e.g. moved to another office",
    ),
    "act": ("操作", "Action"),
    "choose": ("選んでください", "Choose"),
    "comma": ("、", ", "),
    "copy": ("コピー", "Copy"),
    "copied": ("コピーしました。", "Copied."),
    "error.title": ("エラー", "Error"),
    "done.sign_out": ("サインアウトしました。", "You are signed out."),
    "done.link_used": (
        "パスワードを設定しました。利用者名と新しいパスワードでサインインしてください。",
        "Your password is set. Sign in with your user name and the new password.",
    ),
    "done.password_changed": ("パスワードを変えました。", "Your password is changed."),
    "done.second_factor_set": (
        "二段階認証を有効にしました。次のサインインから確認コードが要ります。",
        "The second factor is on. From the next sign-in a code is asked for.",
    ),
    "done.second_factor_removed": ("二段階認証をやめました。", "The second factor is off."),
    "done.session_ended": ("そのブラウザーをサインアウトさせました。", "That browser is signed out."),
    "done.user_changed": ("保存しました。", "Saved."),
    "done.user_disabled": ("停止し、サインアウトさせました。", "Switched off, and signed out everywhere."),
    "done.user_enabled": ("再開しました。", "Switched on again."),
    "done.user_unlocked": ("ロックを解除しました。", "The lock-out is ended."),
    "done.user_signed_out": ("すべてのブラウザーでサインアウトさせました。", "Signed out everywhere."),
    "done.emergency_begun": (
        "臨時休止を始めました。入電者には緊急案内が流れます。",
        "The emergency closure has begun.",
    ),
    "done.emergency_ended": ("臨時休止を終えました。", "The emergency closure has ended."),
    "done.blocked_added": ("一覧に載せました。", "The caller is listed."),
    "done.blocked_removed": ("一覧から外しました。", "The caller is off the list."),
    "done.token_revoked": ("トークンを取り消しました。", "The token is revoked."),
    # signing in
    "user": ("利用者名", "User name"),
    "user.hint": (
        "サインインに使います。英小文字で始め、英小文字・数字・「.」「_」「-」で32文字まで。例: sato",
        "For signing in: up to 32 of a–z, 0–9, “.”, “_”, “-”, the first a letter. Example: sato",
    ),
    "password": ("パスワード", "Password"),
    "password.new": ("新しいパスワード", "New password"),
    "password.again": ("新しいパスワード(もう一度)", "New password, once more"),
    "password.old": ("今のパスワード", "Present password"),
    "password.hint": (
        "12文字以上。長いほど安全です。いくつかの単語を並べると覚えやすくなります。",
        "At least 12 characters; longer is safer. Several words in a row are easy to remember.",
    ),
    "password.change": ("パスワードを変える", "Change password"),
    "password.change.why": (
        "変えると、このブラウザー以外ではサインアウトします。",
        "All your other browsers are signed out when you change it.",
    ),
    "code": ("確認コード", "Code"),
    "code.title": ("二段階認証", "Two-step sign-in"),
    "code.hint": ("認証アプリに表示される6桁の数字", "The 6 digits that your authenticator app shows"),
    "code.send": ("確認する", "Confirm"),
    "code.lost": (
        "認証アプリを使えないときは、管理者にリセットを頼んでください。",
        "If you cannot use your authenticator app, ask your administrator for a reset.",
    ),
    "code.again": ("サインインをやり直す", "Start signing in again"),
    "welcome.title": ("パスワードの設定", "Set your password"),
    "welcome.first": (
        "最初の管理者を登録します。利用者名とパスワードを決めてください。このリンクは一度だけ使えます。",
        "This makes the first administrator. Choose a user name and a password. The link works once.",
    ),
    "welcome.why": (
        "サインインに使うパスワードを決めてください。このリンクは一度だけ使えます。",
        "Choose the password that you will sign in with. The link works once.",
    ),
    "welcome.set": ("設定してサインインへ進む", "Set it and go to sign in"),
    "welcome.gone": ("このリンクは使えません", "This link cannot be used"),
    "welcome.gone.why": (
        "期限が切れたか、使用済みか、アドレスが途中で切れています。管理者に新しいリンクを頼んでください。",
        "It has expired, was used, or its address is incomplete. Ask your administrator for a new link.",
    ),
    # one's own account
    "account.title": ("自分のアカウント", "Your account"),
    "factor": ("二段階認証", "Second factor"),
    "factor.on": ("有効", "On"),
    "factor.off": ("未設定", "Not set up"),
    "factor.must": ("二段階認証の設定が必要です。", "Set up the second factor first."),
    "factor.must.why": (
        "あなたの役割では、設定が終わるまでほかのページを使えません。",
        "With your role, no other page can be used before that.",
    ),
    "factor.why": (
        "サインインのとき、パスワードに加えて認証アプリの確認コードを求めます。パスワードを知られても守られます。",
        "Signing in then asks for a code from your authenticator app as well: a known password is not enough.",
    ),
    "factor.on.why": (
        "サインインのとき、認証アプリの確認コードを求めます。",
        "Signing in asks for a code from your authenticator app.",
    ),
    "factor.scan": (
        "スマートフォンの認証アプリで、この図を読み取ってください。",
        "Scan this picture with the authenticator app on your phone.",
    ),
    "factor.picture": ("認証アプリで読み取る二次元コード", "QR code for the authenticator app"),
    "factor.or_type": (
        "読み取れないときは、次のキーをアプリに入力してください(時間ベース)。",
        "If that is not possible, type this key into the app (time-based).",
    ),
    "factor.key": ("キー", "Key"),
    "factor.code": (
        "アプリに表示された確認コード",
        "The code that the app shows now",
    ),
    "factor.set": ("二段階認証を有効にする", "Switch the second factor on"),
    "factor.remove": ("二段階認証をやめる", "Switch the second factor off"),
    "session.caption": ("サインイン中のブラウザー", "Browsers signed in"),
    "session.since": ("サインイン", "Signed in"),
    "session.seen": ("最後の使用", "Last used"),
    "session.address": ("アドレス", "Address"),
    "session.browser": ("ブラウザー", "Browser"),
    "session.own": ("このブラウザー", "This browser"),
    "session.waits": ("確認コード待ち", "waits for the code"),
    "session.end": ("サインアウトさせる", "Sign out"),
    "session.unknown": ("不明", "unknown"),
    "session.none": ("サインイン中のブラウザーはありません", "No browser is signed in"),
    # users
    "role.operator": ("オペレーター", "Agent"),
    "role.supervisor": ("スーパーバイザー", "Supervisor"),
    "role.viewer": ("閲覧者(市)", "City viewer"),
    "role.administrator": ("管理者", "Administrator"),
    "role.operator.may": ("自分の状態を見て、変える", "sees and changes the own state"),
    "role.supervisor.may": (
        "担当センターのすべてを見て、オペレーターを操作し、緊急閉鎖する",
        "sees everything of the own centres, acts on agents, closes in an emergency",
    ),
    "role.viewer.may": (
        "担当センターの数字と入電を見る。電話番号と名前は見えない",
        "sees figures and calls of the own centres, neither numbers nor names",
    ),
    "role.administrator.may": (
        "すべてのセンターと、利用者・トークン・設定",
        "every centre, and users, tokens and configuration",
    ),
    "user.display": ("表示名", "Name to show"),
    "user.display.hint": ("画面に出る名前。例: 佐藤 花子", "As pages show it, e.g. Hanako Sato"),
    "user.role": ("役割", "Role"),
    "user.agent": ("オペレーター番号", "Agent's number"),
    "user.agent.hint": (
        "電話機でサインインするときの番号。例: 1001",
        "As signed in with on the phone, e.g. 1001",
    ),
    "user.state": ("状態", "State"),
    "user.on": ("有効", "Active"),
    "user.off": ("停止中", "Switched off"),
    "user.locked": ("ロック中", "Locked out"),
    "user.new": ("パスワード未設定", "No password yet"),
    "user.change": ("登録内容", "Details"),
    "user.change.why": (
        "役割とセンターの変更は、すぐに効きます。",
        "A changed role or centre is in force at once.",
    ),
    "user.save": ("保存する", "Save"),
    "user.acts": ("サインインの管理", "Signing in"),
    "user.unlock": ("ロックを解除する", "End the lock-out"),
    "user.unlock.why": (
        "続けて間違えたため、しばらく受け付けない状態です。本人に確かめてから解除してください。",
        "After several wrong tries nothing is taken for a while. Ask the person before you end it.",
    ),
    "user.sign_out": ("すべてのブラウザーでサインアウトさせる", "Sign out everywhere"),
    "user.sign_out.why": (
        "開いている画面はすぐに止まります。もう一度サインインできます。",
        "Open pages stop at once. The person can sign in again.",
    ),
    "user.reset": ("パスワードと二段階認証をリセットする", "Reset password and second factor"),
    "user.reset.why": (
        "今のパスワードと二段階認証を消し、サインアウトさせ、新しいリンクを作ります。",
        "Takes both away, signs out everywhere, and makes a new link.",
    ),
    "user.disable": ("停止する", "Switch off"),
    "user.disable.why": (
        "サインアウトさせ、再開するまでサインインできなくします。記録は残ります。",
        "Signs out everywhere; no signing in until switched on again. The records stay.",
    ),
    "user.enable": ("再開する", "Switch on again"),
    "user.enable.why": (
        "もう一度サインインできるようにします。",
        "The person can sign in again.",
    ),
    "users.title": ("利用者とトークン", "Users and tokens"),
    "users.caption": ("利用者", "Users"),
    "users.none": ("利用者はまだいません", "There are no users yet"),
    "users.back": ("← 利用者の一覧", "← All users"),
    "users.add": ("利用者を加える", "Add a user"),
    "users.add.why": (
        "加えると、本人がパスワードを決めるためのリンクが一度だけ表示されます。",
        "You are then shown, once, the link with which the person sets a password.",
    ),
    "centres.hint": ("見てよいセンターを選びます。", "Those that may be seen."),
    "centres.every": ("すべてのセンター(今後加わるものも)", "Every centre, those of tomorrow included"),
    # secrets that are shown once
    "shown.link": ("リンク", "Link"),
    "shown.link.title": ("{name} のリンク", "The link for {name}"),
    "shown.link.why": (
        "このリンクを本人に安全な方法で渡してください。3日間、一度だけ使えます。二度と表示されません。",
        "Hand this link over safely. It works once, within 3 days, and is not shown again.",
    ),
    "shown.token": ("トークン", "Token"),
    "shown.token.title": ("{name} のトークン", "The token {name}"),
    "shown.token.why": (
        "機械の設定に写してください。二度と表示されません。なくしたときは取り消して作り直します。",
        "Put it into the machine's settings. It is not shown again; if it is lost, revoke it and make another.",
    ),
    # machine tokens
    "tokens.caption": ("機械用のトークン", "Machine tokens"),
    "tokens.none": ("トークンはまだありません", "There are no tokens yet"),
    "tokens.add": ("トークンを作る", "Make a token"),
    "tokens.add.why": (
        "監視や連携の機械が API を使うためのものです。一度だけ表示されます。",
        "For machines that use the API. It is shown once.",
    ),
    "token": ("トークン名", "Token name"),
    "token.hint": (
        "英小文字で始め、英小文字・数字・「.」「_」「-」で32文字まで。例: prometheus",
        "Up to 32 of a–z, 0–9, “.”, “_”, “-”, the first a letter. Example: prometheus",
    ),
    "token.scopes": ("範囲", "Scopes"),
    "scope.read_metrics": ("稼働の数字を読む(すべてのセンターが必要)", "Read metrics (needs every centre)"),
    "scope.read_live": ("ライブ状況と入電を読む", "Read live status and calls"),
    "scope.act": ("オペレーターの操作、緊急閉鎖", "Act on agents, close in an emergency"),
    "token.made": ("作成", "Made"),
    "token.until": ("期限", "Until"),
    "token.for_ever": ("なし", "none"),
    "token.days": ("有効日数", "Days it counts"),
    "token.days.hint": ("1〜3650。空なら期限なし。", "1 to 3650; empty: until it is revoked."),
    "token.revoke": ("取り消す", "Revoke"),
    "token.revoke.this": ("{name} を取り消す", "Revoke {name}"),
    # the audit trail
    "audit.caption": ("記録(新しい順)", "Lines, the newest first"),
    "audit.lines": ("{n} 件", "{n}"),
    "audit.search": ("検索", "Search"),
    "audit.clear": ("条件を消す", "Clear"),
    "audit.print": ("印刷用に表示", "For printing"),
    "audit.print.now": ("印刷する", "Print"),
    "audit.back": ("検索に戻る", "Back to search"),
    "audit.printed_by": ("出力者", "Printed by"),
    "audit.printed_at": ("出力日時", "Printed at"),
    "audit.text": ("キーワード", "Words"),
    "audit.text.hint": ("操作・対象・アドレス・理由など", "Action, on what, address, reason …"),
    "audit.who": ("だれが", "Who"),
    "audit.who.hint": ("利用者名。例: sato", "A user's name, e.g. sato"),
    "audit.most": (
        "新しい方から {n} 件までです。期間を分けて印刷してください。",
        "Only the newest {n} are here. Print the rest by shorter periods.",
    ),
    "audit.centre": ("センター", "Centre"),
    "audit.result": ("結果", "Result"),
    "audit.first": ("この日から", "From"),
    "audit.last": ("この日まで", "To"),
    "audit.all": ("すべて", "All"),
    "audit.n": ("番号", "No."),
    "audit.at": ("日時", "When"),
    "audit.action": ("操作", "Action"),
    "audit.on": ("対象", "On what"),
    "audit.origin": ("どこから", "From where"),
    "audit.why": ("理由・内容", "Why, or what"),
    "audit.none": ("条件に合う記録はありません", "No line fits"),
    "audit.older": ("古い記録 →", "Older lines →"),
    "result.done": ("完了", "Done"),
    "result.refused": ("拒否", "Refused"),
    "result.failed": ("失敗", "Failed"),
    "who.anonymous": ("サインイン前", "not signed in"),
    "action.sign_in": ("サインイン", "Signed in"),
    "action.sign_out": ("サインアウト", "Signed out"),
    "action.link_used": ("リンクでパスワードを設定", "Set a password by link"),
    "action.password_changed": ("パスワードを変更", "Changed the password"),
    "action.second_factor_set": ("二段階認証を有効化", "Switched the second factor on"),
    "action.second_factor_removed": ("二段階認証を無効化", "Switched the second factor off"),
    "action.session_ended": ("自分のブラウザーをサインアウト", "Signed an own browser out"),
    "action.user_added": ("利用者を追加", "Added a user"),
    "action.user_changed": ("利用者を変更", "Changed a user"),
    "action.user_disabled": ("利用者を停止", "Switched a user off"),
    "action.user_enabled": ("利用者を再開", "Switched a user on"),
    "action.user_reset": ("利用者をリセット", "Reset a user"),
    "action.user_unlocked": ("ロックを解除", "Ended a lock-out"),
    "action.user_signed_out": ("利用者をサインアウト", "Signed a user out"),
    "action.token_added": ("トークンを作成", "Made a token"),
    "action.token_revoked": ("トークンを取り消し", "Revoked a token"),
    "action.agent_pause": ("オペレーターを離席に", "Paused an agent"),
    "action.agent_ready": ("オペレーターの受付を再開", "Made an agent ready"),
    "action.agent_sign_out": ("オペレーターの受付を終了", "Signed an agent out"),
    "action.blocked_add": ("迷惑電話の一覧に登録", "Listed an unwelcome caller"),
    "action.blocked_remove": ("迷惑電話の一覧から削除", "Took a caller off the list"),
    "action.apply": ("設定を適用", "Applied the configuration"),
    "action.pin_set": ("暗証番号を設定", "Set a PIN"),
    "action.phone_policy": ("端末ポリシー違反", "Not the phone of the inventory"),
    "action.phone_file": ("電話機の設定の取得", "Fetching a phone's file"),
    "action.phones_config": ("電話機の設定を書き出し", "Wrote a phone's file"),
    "action.phones_token": ("電話機のトークンを作成", "Made a phone's token"),
    "action.phones_sync": ("電話機に取り直しを指示", "Told a phone to fetch its file"),
    "action.phone_password_shown": ("電話機のパスワードを表示", "Showed a phone's password"),
    "why.no such user": ("その利用者はいない", "no such user"),
    "why.switched off or without a password": (
        "停止中、またはパスワード未設定",
        "switched off or without a password",
    ),
    "why.switched off": ("停止中", "switched off"),
    "why.locked out": ("ロック中", "locked out"),
    "why.wrong password": ("パスワードが違う", "wrong password"),
    "why.wrong present password": ("今のパスワードが違う", "wrong present password"),
    "why.wrong code": ("確認コードが違う", "wrong code"),
}


def texts(language: Language) -> dict[str, str]:
    """Every text in one language."""
    column = LANGUAGES.index(language)
    return {key: both[column] for key, both in TABLE.items()}


def choose(asked: str | None, accept: str | None) -> Language:
    """The language of a page: what was asked for, else the first of ours that the browser prefers, else Japanese."""
    for language in LANGUAGES:
        if asked == language:
            return language
    ranked: list[tuple[float, int, Language]] = []
    for place, part in enumerate((accept or "").split(",")[:20]):
        tag, _, parameters = part.strip().partition(";")
        wanted = tag.lower().partition("-")[0]
        quality = _quality(parameters)
        ranked.extend((-quality, place, ours) for ours in LANGUAGES if ours == wanted and quality > 0)
    return min(ranked)[2] if ranked else "ja"


def _quality(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return min(1.0, max(0.0, float(value)))
    except ValueError:
        return 0.0
