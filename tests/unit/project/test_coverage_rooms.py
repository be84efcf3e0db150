"""The coverage gate: sums, bounds and what is missing."""

import importlib.util
import json

import pytest

PURE = ("model", "errors", "cbor", "machines", "coap", "content", "credentials", "package", "lwm2m")


@pytest.fixture(scope="module")
def gate(root):
    found = importlib.util.spec_from_file_location("coverage_rooms", root / "tools" / "coverage_rooms.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def report(**covered_of_ten):
    def summary(covered):
        return {"summary": {"covered_lines": covered, "num_statements": 8, "covered_branches": 0, "num_branches": 2}}

    return {f"src/lwm2m_fota/{room}/a.py": summary(covered) for room, covered in covered_of_ten.items()}


@pytest.mark.parametrize(
    ("path", "room"),
    [
        ("src/lwm2m_fota/coap/message.py", "coap"),
        ("src/lwm2m_fota/package/formats/plain.py", "package"),
        ("src/lwm2m_fota/cbor.py", "cbor"),
        ("/x/lwm2m_fota/src/lwm2m_fota/errors.py", "errors"),
        ("src\\lwm2m_fota\\coap\\message.py", "coap"),
    ],
)
def test_the_room_is_what_stands_directly_below_the_package(gate, path, room):
    assert gate.room_of(path) == room


def test_files_of_one_room_are_summed(gate):
    one = {"covered_lines": 3, "num_statements": 4, "covered_branches": 1, "num_branches": 2}
    two = {"covered_lines": 5, "num_statements": 5}
    files = {"src/lwm2m_fota/coap/a.py": {"summary": one}, "src/lwm2m_fota/coap/b.py": {"summary": two}}
    assert gate.count_rooms(files) == {"coap": (9, 11)}


def test_a_pure_room_must_reach_all_of_it_and_another_nine_tenths(gate):
    rooms = dict.fromkeys(PURE, (1000, 1000)) | {"coap": (999, 1000), "device": (90, 100), "server": (89, 100)}
    assert gate.failures(rooms) == ["coap: 99.90 % is under 100 %", "server: 89.00 % is under 90 %"]


def test_a_pure_room_without_figures_fails(gate):
    assert gate.failures(dict.fromkeys(PURE[1:], (1, 1))) == ["model: no figures"]


def test_a_room_with_nothing_to_cover_is_covered(gate):
    assert gate.percent((0, 0)) == 100.0


def test_the_exit_status_tells(gate, tmp_path, capsys):
    path = tmp_path / "report.json"
    path.write_text(json.dumps({"files": report(**dict.fromkeys(PURE, 8))}))
    assert gate.main([str(path)]) == 1
    captured = capsys.readouterr()
    assert "80.00%" in captured.out
    assert captured.err.count("is under 100 %") == len(PURE)
