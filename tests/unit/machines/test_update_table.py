"""The update table against a transcription made by hand from SPEC 3, FIELD and SERVICE: every cell, every branch.

In the grids a column is a step and a row is a cue; `.` stays, `r` stays and reads, a blank cell (`-`) ignores. Other
words are steps, `*word` is a junction, `!word` an end. `+` adds marks, `?` a warning.
"""

import pytest

from lwm2m_fota.errors import UsageError
from lwm2m_fota.machines.update_carry import _ASKS, _MARKS
from lwm2m_fota.machines.update_codes import DIAGNOSES, code_of_result
from lwm2m_fota.machines.update_guards import _GUARDS
from lwm2m_fota.machines.update_steps import STEPS, Ask, UpdateStage, UpdateStep
from lwm2m_fota.machines.update_table import JUNCTIONS, TABLE, expand
from lwm2m_fota.machines.update_words import Branch, Cue, End, Guard, Here, Junction, Mark, Row
from lwm2m_fota.model.enums import UpdateResult

PREPARING = """
cue                 registration     components     observe        learn          other-update   reset         reset-check    reset-later    configure
REGISTERED          *start           *start         *start         *start         *start         *start        *start         *start         *start
REGISTERED_WITHOUT  !no-object       !no-object     !no-object     !no-object     !no-object     !no-object    !no-object     !no-object     !no-object
LOST                -                registration   registration   registration   registration   registration  registration   registration   registration
RESTARTED           -                registration   registration   registration   registration   registration  registration   registration   registration
OBSERVED            -                -              learn          -              -              -             -              -              -
OBSERVE_FAILED      -                -              learn?observe  -              -              -             -              -              -
ACCEPTED            -                -              -              -              -              reset-check   -              -              learn
BUSY                -                -              -              -              -              reset-later   -              -              learn
REFUSED             -                -              -              -              -              reset-check   -              -              learn
NO_ANSWER           -                -              -              -              -              reset-check   -              -              learn
FOUND               -                *watch         -              -              -              -             -              -              -
NO_COMPONENT        -                !no-component  -              -              -              -             -              -              -
GUARDED             -                -              -              !guarded       -              -             -              -              -
NO_PULL             -                -              -              !no-pull       -              -             -              -              -
NO_PUSH             -                -              -              !no-push       -              -             -              -              -
NO_PROTOCOL         -                -              -              !no-protocol   -              -             -              -              -
UNREAD              -                .              -              .              .              -             .              .              -
IDLE                -                -              -              *ready         learn          -             *ready         learn          -
IDLE_NEXT           -                -              -              -              -              -             *next-reset+F  -              -
DOWNLOADING         -                -              -              *next-reset+F  *next-reset+F  -             .              *next-reset+F  -
DOWNLOADED          -                -              -              *next-reset+F  *next-reset+F  -             .              *next-reset+F  -
UPDATING            -                -              -              other-update   .              -             other-update   other-update   -
NOTIFIED            -                -              -              -              r              .             r              r              .
POLL                -                r              -              r              r              -             r              r              -
SILENCE             -                !unreadable    learn?observe  !unreadable    !updating      reset-check   *next-reset    !p-busy        learn
STAGE_LIMIT         !not-registered  !p-limit       !p-limit       !p-limit       !p-limit       !p-limit      !p-limit       !p-limit       !p-limit
TOTAL_LIMIT         !total           !total         !total         !total         !total         !total        !total         !total         !total
CANCEL              !cancelled       !cancelled     !cancelled     !cancelled     !cancelled     !cancelled    !cancelled     !cancelled     !cancelled
"""

TRANSFERRING = """
cue                 write-uri        push              uri-refused   uri-uncertain  push-refused   push-uncertain  download      verify          transfer-later
REGISTERED          uri-uncertain+O  r+O               r+O           r+O            r+O            r+O             r+O           r+O             r+O
REGISTERED_WITHOUT  !gone            !gone             !gone         !gone          !gone          !gone           !gone         !gone           !gone
LOST                .                .                 .             .              .              .               .             .               .
RESTARTED           uri-uncertain+O  push-uncertain+O  r+O           r+O            r+O            r+O             r+O           r+O             r+O
OBSERVED            .                .                 .             .              .              .               .             .               .
OBSERVE_FAILED      .?observe        .?observe         .?observe     .?observe      .?observe      .?observe       .?observe     .?observe       .?observe
ACCEPTED            download         verify+N          -             -              -              -               -             -               -
BUSY                *busy+T          *busy+T           -             -              -              -               -             -               -
REFUSED             uri-refused+N    push-refused+N    -             -              -              -               -             -               -
BROKEN              -                push-uncertain+N  -             -              -              -               -             -               -
NO_ANSWER           uri-uncertain    push-uncertain    -             -              -              -               -             -               -
NO_PACKAGE          !no-package      !no-package       -             -              -              -               -             -               -
UNREAD              -                .                 .             .              .              .               .             .               .
IDLE_UNSETTLED      -                .                 .             .              .              .               .             .               *transfer
IDLE_WAITING        -                .                 !uri-refused  *retry         !push-refused  *retry          .             .               *transfer
IDLE_GONE           -                *retry            !uri-refused  *retry         !push-refused  *retry          *retry        *retry          *transfer
IDLE_CUT            -                *retry            *retry        *retry         *retry         *retry          *retry        *retry          *transfer
IDLE_FAILED         -                !result           !result       !result        !result        !result         !result       !result         !result
IDLE_DONE           -                .                 *next+D       *next+D        *next+D        *next+D         *next+D       *next+D         *next+D
IDLE_UPDATED        -                .                 *next+D?lost  *next+D?lost   *next+D?lost   *next+D?lost    *next+D?lost  *next+D?lost    *next+D?lost
DOWNLOADING         -                .                 download      download       .              *retry          .             .               *resume
DOWNLOADED          -                .                 *downloaded   *downloaded    *downloaded    *downloaded     *downloaded   *downloaded     *downloaded
DOWNLOADED_FAILED   -                .                 !result       !result        !result        !result         !result       !result         !result
DEFERRED            -                .                 deferred      deferred       deferred       deferred        deferred      deferred        deferred
UPDATING            -                .                 install       install        install        install         install       install         install
NOTIFIED            .                .                 r             r              r              r               r             r               r
SENT                -                .                 -             -              -              -               -             -               -
SERVED              .+M              -                 .+M           download+M     -              -               .+M           -               -
POLL                -                r                 r             r              r              r               r             r               r
SILENCE             uri-uncertain    *stalled-push     !uri-refused  !t-no-answer   !push-refused  !t-no-answer    *silent-pull  !t-no-progress  !t-busy
STAGE_LIMIT         !t-limit         !t-limit          !t-limit      !t-limit       !t-limit       !t-limit        !t-limit      !t-limit        !t-limit
TOTAL_LIMIT         !total           !total            !total        !total         !total         !total          !total        !total          !total
CANCEL              !cancelled       !cancelled        !cancelled    !cancelled     !cancelled     !cancelled      !cancelled    !cancelled      !cancelled
"""

EXECUTING = """
cue                 automatic       execute              execute-refused   execute-uncertain  execute-later  install          deferred      version
REGISTERED          r+O             execute-uncertain+O  r+O               r+O                r+O            r+O              r+O           r+O
REGISTERED_WITHOUT  r+O             execute-uncertain+O  r+O               r+O                r+O            r+O              r+O           r+O
LOST                .               .                    .                 .                  .              .                .             .
RESTARTED           r+O             execute-uncertain+O  r+O               r+O                r+O            r+O              r+O           r+O
OBSERVED            .               .                    .                 .                  .              .                .             .
OBSERVE_FAILED      .?observe       .?observe            .?observe         .?observe          .?observe      .?observe        .?observe     .?observe
ACCEPTED            -               install+A            -                 -                  -              -                -             -
BUSY                -               *execute-busy+E      -                 -                  -              -                -             -
REFUSED             -               execute-refused      -                 -                  -              -                -             -
NO_ANSWER           -               execute-uncertain    -                 -                  -              -                -             -
UNREAD              .               -                    .                 .                  .              .                .             *next
VERSION_READ        -               -                    -                 -                  -              -                -             *next
IDLE_UNSETTLED      .               -                    .                 .                  .              .                .             -
IDLE_GONE           !no-evidence    -                    !e-refused        !no-evidence       !package-lost  !no-evidence     !no-evidence  -
IDLE_UNVERSIONED    install         -                    !e-refused        .                  !package-lost  .                install       -
IDLE_UPDATED        *next+D?lost    -                    *next+D?lost      *next+D?lost       *next+D?lost   *next+D?lost     *next+D?lost  -
IDLE_DONE           *done+D         -                    *done+D           *done+D            *done+D        *done+D          *done+D       -
IDLE_CUT            !result         -                    !result           !result            !result        !result          !result       -
IDLE_FAILED         !result         -                    !result           !result            !result        !result          !result       -
DOWNLOADING         .               -                    .                 .                  .              .                .             -
DOWNLOADED          .               -                    *execute-refused  *execute-again     execute        *hold            install       -
DOWNLOADED_FAILED   !result         -                    !result           !result            !result        !result          !result       -
DEFERRED            *defer          -                    *defer            *defer             *defer         *defer           .             -
UPDATING            install         -                    install           install            install        .                install       -
NOTIFIED            r               .                    r                 r                  r              r                r             -
POLL                r               -                    r                 r                  r              r                r             r
SILENCE             *not-automatic  execute-uncertain    !e-refused        *silent-execute    !e-busy        *silent-install  !e-deferred   *next
STAGE_LIMIT         !e-limit        !e-limit             !e-limit          !e-limit           !e-limit       !e-limit         !e-limit      *last
TOTAL_LIMIT         !total          !total               !total            !total             !total         !total           !total        *last
CANCEL              !cancelled      .+C                  .+C               .+C                !cancelled     .+C              !cancelled    .+C
"""

CLEANUP = """
cue                 tidy        tidy-check      tidy-later      tidy-wait       late         finished
REGISTERED          tidy-check  r               r               r               r+O          -
REGISTERED_WITHOUT  *end?left   *end?left       *end?left       *end?left       r            -
LOST                .           .               .               .               .            -
RESTARTED           tidy-check  r               r               r               r            -
ACCEPTED            tidy-check  -               -               -               -            -
BUSY                tidy-later  -               -               -               -            -
REFUSED             tidy-check  -               -               -               -            -
NO_ANSWER           tidy-check  -               -               -               -            -
UNREAD              -           .               .               .               .            -
IDLE                -           *end            *end            *end            -            -
IDLE_NEXT           -           *next-tidy+F    -               -               -            -
IDLE_UNSETTLED      -           -               -               -               .            -
IDLE_GONE           -           -               -               -               .            -
IDLE_UNVERSIONED    -           -               -               -               .            -
IDLE_CUT            -           -               -               -               finished+DR  -
IDLE_FAILED         -           -               -               -               finished+DR  -
IDLE_UPDATED        -           *tidy-done+D    *tidy-done+D    *tidy-done+D    finished+DR  -
IDLE_DONE           -           *tidy-done+D    *tidy-done+D    *tidy-done+D    finished+DR  -
DOWNLOADING         -           .               *next-tidy+F    .               .            -
DOWNLOADED          -           .               *next-tidy+F    .               .            -
DOWNLOADED_FAILED   -           -               -               -               finished+DR  -
DEFERRED            -           -               -               -               .            -
UPDATING            -           *tidy-too-late  *tidy-too-late  *tidy-too-late  .            -
NOTIFIED            .           r               r               r               r            -
POLL                -           r               r               r               r            -
SILENCE             tidy-check  *next-tidy      -               -               finished     -
STAGE_LIMIT         *end?left   *end?left       *end?left       *end?left       -            -
"""

# word: (kind of outcome, code, does the device's own result go first)
ENDS = {
    "cancelled": ("cancelled", None, False),
    "success": ("succeeded", None, False),
    "result": ("failed", None, True),
    "no-object": ("failed", "prepare.no-object", False),
    "no-component": ("failed", "prepare.no-component", False),
    "guarded": ("failed", "prepare.version-guarded", False),
    "no-pull": ("failed", "prepare.pull-unsupported", False),
    "no-push": ("failed", "prepare.push-unsupported", False),
    "no-protocol": ("failed", "prepare.no-common-protocol", False),
    "stuck-1": ("failed", "prepare.stuck-downloading", False),
    "stuck-2": ("failed", "prepare.stuck-downloaded", False),
    "unreadable": ("timed out", "prepare.unreadable", False),
    "updating": ("timed out", "prepare.device-updating", False),
    "p-busy": ("timed out", "prepare.device-busy", False),
    "not-registered": ("timed out", "prepare.not-registered", False),
    "p-limit": ("timed out", "prepare.stage-limit", False),
    "gone": ("failed", "transfer.object-gone", False),
    "uri-refused": ("failed", "transfer.uri-refused", True),
    "push-refused": ("failed", "transfer.push-refused", True),
    "broken": ("failed", "transfer.broken", True),
    "no-package": ("failed", "transfer.no-package", False),
    "t-no-answer": ("timed out", "transfer.no-answer", False),
    "t-no-progress": ("timed out", "transfer.no-progress", False),
    "not-started": ("timed out", "transfer.not-started", False),
    "t-busy": ("timed out", "transfer.device-busy", False),
    "too-busy": ("failed", "transfer.device-busy", False),
    "t-limit": ("timed out", "transfer.stage-limit", False),
    "e-refused": ("failed", "execute.refused", True),
    "package-lost": ("failed", "execute.package-lost", True),
    "no-evidence": ("undetermined", "execute.no-evidence", False),
    "unanswered": ("undetermined", "execute.unanswered", False),
    "not-installed": ("undetermined", "execute.not-installed", False),
    "e-no-answer": ("timed out", "execute.no-answer", False),
    "no-return": ("timed out", "execute.no-return", False),
    "no-end": ("timed out", "execute.no-end", False),
    "e-busy": ("timed out", "execute.device-busy", False),
    "e-too-busy": ("failed", "execute.device-busy", False),
    "e-deferred": ("timed out", "execute.deferred", False),
    "auto": ("timed out", "execute.not-automatic", False),
    "e-limit": ("timed out", "execute.stage-limit", False),
    "total": ("timed out", "total.limit", False),
}
WARNINGS = {
    "observe": "observe.failed",
    "lost": "execute.result-lost",
    "auto": "execute.not-automatic",
    "left": "cleanup.not-idle",
    "partly": "cancel.partly",
    "stalled": "transfer.no-progress",
}
MARKS = {
    "O": "REOBSERVE",
    "F": "FIRST_METHOD",
    "N": "FRESH",
    "M": "MOVED",
    "A": "ACCEPTED",
    "T": "UNCOUNT_TRANSFER",
    "E": "UNCOUNT_EXECUTE",
    "C": "CANCEL",
    "L": "TOO_LATE",
    "P": "NEXT_PART",
    "B": "BATCH",
    "D": "DONE",
    "R": "LATE",
}

# junction: branches as "guard word"; the last one is always open
BRANCHES = {
    "start": ["NAMES_UNKNOWN components", "else *watch"],
    "watch": ["OBSERVES observe", "else learn"],
    "ready": ["CONFIGURES configure", "else *transfer"],
    "transfer": ["BY_PUSH push", "else write-uri"],
    "next-reset": ["METHOD_LEFT reset", "SHOWS_DOWNLOADING !stuck-1", "else !stuck-2"],
    "silent-pull": ["MOVED !t-no-progress", "else !not-started"],
    "stalled-push": ["TRANSFER_LEFT push-uncertain?stalled", "else !t-no-progress"],
    "retry": ["TRANSFER_LEFT transfer-later", "else !broken"],
    "busy": ["BUSY_LEFT transfer-later", "else !too-busy"],
    "resume": ["BY_PUSH push", "else download"],
    "downloaded": ["PART_LEFT *transfer+P", "UPGRADES_ITSELF automatic", "else execute+B"],
    "defer": ["CANCEL_ASKED !cancelled", "else deferred"],
    "hold": ["CANCEL_ASKED !cancelled", "else ."],
    "execute-again": ["CANCEL_ASKED !cancelled", "MAY_EXECUTE execute", "else !unanswered"],
    "execute-refused": ["CANCEL_ASKED !cancelled", "else !e-refused"],
    "execute-busy": ["CANCEL_ASKED !cancelled", "BUSY_LEFT execute-later", "else !e-too-busy"],
    "silent-execute": ["SHOWS_IDLE !no-evidence", "else !e-no-answer"],
    "silent-install": [
        "UNREGISTERED !no-return",
        "SHOWS_DOWNLOADED !not-installed",
        "SHOWS_IDLE !no-evidence",
        "else !no-end",
    ],
    "not-automatic": ["EXECUTES_ANYWAY execute?auto", "else !auto"],
    "done": ["VERSION_KNOWN *next", "else version"],
    "next": ["CANCEL_LEFT !cancelled", "PART_LEFT *transfer+P", "UNDONE_LEFT execute+B", "else !success"],
    "last": ["CANCEL_LEFT !cancelled", "UNDONE_LEFT !e-limit", "else !success"],
    "after": ["NOTHING_TO_TIDY *end", "METHOD_LEFT tidy", "WAITS tidy-wait", "else *end?left"],
    "next-tidy": ["METHOD_LEFT tidy", "WAITS tidy-wait", "else *end?left"],
    "tidy-too-late": ["CANCELLING install+L", "else *end?left"],
    "tidy-done": ["UNDONE_LEFT *end", "CANCELLING !success+L", "else *end"],
    "end": ["else *ended+D"],
    "ended": ["AWAITS_LATE late", "CANCELLED_PARTLY finished?partly", "else finished"],
}


def word_of(way):
    """A row or a branch, in the words of the grids."""
    target = way.target
    if isinstance(target, Here):
        word = "." if target is Here.STAY else "r"
    elif isinstance(target, UpdateStep):
        word = target.value
    elif isinstance(target, Junction):
        word = "*" + target.name.lower().replace("_", "-")
    else:
        known = {value: key for key, value in ENDS.items()}
        word = "!" + known[target.kind.value, target.code, target.by_result]
    marks = {name: letter for letter, name in MARKS.items()}
    letters = "".join(marks[mark.name] for mark in way.marks)
    warnings = {code: name for name, code in WARNINGS.items()}
    return word + (f"+{letters}" if letters else "") + (f"?{warnings[way.warn]}" if way.warn else "")


def cells():
    for grid in (PREPARING, TRANSFERRING, EXECUTING, CLEANUP):
        head, *rows = (line.split() for line in grid.strip().splitlines())
        for cue, *words in rows:
            assert len(words) == len(head) - 1, cue
            yield from (((name, cue), word) for name, word in zip(head[1:], words, strict=True) if word != "-")


def test_every_cell_is_the_transcribed_one():
    expected = dict(cells())
    assert {(at.value, cue.name): word_of(row) for (at, cue), row in TABLE.items()} == expected


def test_every_branch_is_the_transcribed_one():
    found = {
        junction.name.lower().replace("_", "-"): [
            f"{one.guard.name if one.guard else 'else'} {word_of(one)}" for one in branches
        ]
        for junction, branches in JUNCTIONS.items()
    }
    assert found == BRANCHES


def test_the_steps_of_each_stage_are_the_transcribed_ones():
    grids = zip(UpdateStage, (PREPARING, TRANSFERRING, EXECUTING, CLEANUP), strict=True)
    for stage, grid in grids:
        names = set(grid.strip().splitlines()[0].split()[1:])
        assert {at.value for at, info in STEPS.items() if info.stage is stage} == names
    assert set(STEPS) == set(UpdateStep)


# step: what it asks, its limit
ASKS = {
    "registration": "NOTHING -",
    "components": "COMPONENTS no_progress_s",
    "observe": "OBSERVE request_s",
    "learn": "LEARN no_progress_s",
    "other-update": "READ reboot_s",
    "reset": "RESET request_s",
    "reset-check": "READ reset_s",
    "reset-later": "READ_LATER busy_s",
    "configure": "CONFIGURE request_s",
    "write-uri": "URI request_s",
    "uri-refused": "READ no_progress_s",
    "uri-uncertain": "READ no_progress_s",
    "download": "READ no_progress_s",
    "push": "PUSH no_progress_s",
    "push-refused": "READ busy_s",
    "push-uncertain": "READ busy_s",
    "verify": "READ no_progress_s",
    "transfer-later": "READ_LATER busy_s",
    "automatic": "READ no_progress_s",
    "execute": "EXECUTE request_s",
    "execute-refused": "READ no_progress_s",
    "execute-uncertain": "READ reboot_s",
    "execute-later": "READ_LATER busy_s",
    "install": "READ reboot_s",
    "deferred": "READ_LATER deferral_s",
    "version": "VERSION version_s",
    "tidy": "RESET request_s",
    "tidy-check": "READ reset_s",
    "tidy-later": "READ_LATER -",
    "tidy-wait": "READ_LATER -",
    "late": "NOTHING late_s",
    "finished": "NOTHING -",
}


def test_what_each_step_asks_and_bears_is_the_transcribed():
    found = {at.value: f"{info.ask.name} {info.limit.value if info.limit else '-'}" for at, info in STEPS.items()}
    assert found == ASKS


def test_a_limit_never_leads_to_more_waiting_in_the_same_step():
    for (at, cue), row in TABLE.items():
        if cue in {Cue.SILENCE, Cue.STAGE_LIMIT, Cue.TOTAL_LIMIT}:
            assert not isinstance(row.target, Here), (at, cue)
            assert row.target is not at


def test_every_running_limit_has_a_row():
    for at, info in STEPS.items():
        if at is UpdateStep.FINISHED:
            continue
        assert ((at, Cue.STAGE_LIMIT) in TABLE) is (at is not UpdateStep.LATE)
        assert ((at, Cue.TOTAL_LIMIT) in TABLE) is (info.stage is not UpdateStage.CLEANUP)
        assert ((at, Cue.SILENCE) in TABLE) is (info.limit is not None)
        reads = {Ask.COMPONENTS, Ask.LEARN, Ask.READ, Ask.READ_LATER, Ask.VERSION}
        polled = info.ask in reads or at in {UpdateStep.PUSH, UpdateStep.LATE}
        assert ((at, Cue.POLL) in TABLE) is polled


def test_every_last_branch_is_open_and_no_other():
    for branches in JUNCTIONS.values():
        assert [one.guard is None for one in branches] == [False] * (len(branches) - 1) + [True]


def test_every_code_of_the_table_has_a_text_and_every_text_a_use():
    ways = [*TABLE.values(), *(one for branches in JUNCTIONS.values() for one in branches)]
    used = {one.warn for one in ways} | {one.target.code for one in ways if isinstance(one.target, End)}
    by_hand = {
        "prepare.protocols-empty",
        "prepare.delivery-unread",
        "prepare.pushed-instead",
        "prepare.already-there",
        "prepare.settings-differ",
        "execute.version-mismatch",
        "execute.version-unread",
        "cancel.too-late",
    }
    of_results = {code for code in DIAGNOSES if code.startswith("device.")}
    assert used - {None} | by_hand | of_results == set(DIAGNOSES)


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (2, "device.not-enough-storage"),
        (3, "device.out-of-memory"),
        (4, "device.connection-lost"),
        (5, "device.integrity-failure"),
        (6, "device.unsupported-package"),
        (7, "device.invalid-uri"),
        (8, "device.update-failed"),
        (9, "device.unsupported-protocol"),
        (10, "device.cancelled"),
        (11, "device.deferred"),
        (12, "device.conflicting-state"),
        (13, "device.dependency-error"),
        (99, "device.unknown-result"),
    ],
)
def test_each_result_has_its_code(result, code):
    assert code_of_result(UpdateResult(result)) == code
    assert DIAGNOSES[code].text


def test_every_row_names_its_source():
    assert all(row.source for row in TABLE.values())


def test_everything_that_the_table_may_say_is_carried_out():
    assert set(_MARKS) == set(Mark)
    assert set(_GUARDS) == set(Guard)
    assert set(_ASKS) == set(Ask)
    assert set(JUNCTIONS) == set(Junction)


def test_two_rows_for_one_cell_are_refused():
    row = Row(Here.STAY)
    with pytest.raises(UsageError, match="two rows"):
        expand([([UpdateStep.PUSH], [Cue.POLL], row), ([UpdateStep.PUSH], [Cue.POLL, Cue.LOST], row)])


def test_the_tables_cannot_be_changed():
    with pytest.raises(TypeError):
        TABLE[UpdateStep.PUSH, Cue.POLL] = Row(Here.STAY)
    with pytest.raises(TypeError):
        JUNCTIONS[Junction.DONE] = (Branch(None, Here.STAY),)
