"""What is wrong with a scene."""

from __future__ import annotations

from collections.abc import Iterator

from lamina.pictures.scene import Scene


def problems(scene: Scene) -> Iterator[str]:
    """What names a grid or cell that is not there; none of a scene that can be drawn."""
    grids = {grid.name: grid for grid in scene.grids}
    if len(grids) < len(scene.grids):
        yield "two grids have one name"
    links = [*scene.links, *(link for frame in scene.frames for link in frame.links)]
    ends = [end for link in links for end in (link.start, link.end)]
    ends += [(mark.grid, mark.cell) for frame in scene.frames for mark in frame.marks]
    for grid in scene.grids:
        ends += [(grid.name, cell) for cell in (*grid.texts, *grid.styles, *grid.colours)]
    for name, cell in ends:
        if name not in grids or not 0 <= cell < grids[name].rows * grids[name].columns:
            yield f"{name!r} has no cell {cell}"
    if not scene.frames:
        yield "there is no frame"
