"""The disk reserve allocates space and frees it again."""

from pathlib import Path

from clickloop.store.disk_reserve import DiskReserve


def test_the_reserve_takes_real_room_and_gives_it_free(tmp_path: Path) -> None:
    reserve = DiskReserve(tmp_path / "reserve", size=1 << 20)
    assert reserve.ensure()
    assert (tmp_path / "reserve").stat().st_blocks * 512 >= 1 << 20
    assert reserve.release()
    assert not reserve.held
    assert not reserve.release()


def test_the_reserve_is_taken_again(tmp_path: Path) -> None:
    reserve = DiskReserve(tmp_path / "reserve", size=1 << 20)
    reserve.ensure()
    reserve.release()
    assert reserve.ensure()


def test_no_reserve_is_taken_that_would_fill_the_disk(tmp_path: Path) -> None:
    reserve = DiskReserve(tmp_path / "reserve", size=1 << 60)
    assert not reserve.ensure()
    assert list(tmp_path.iterdir()) == []
