from __future__ import annotations

from moorage.containers.container import Container
from moorage.containers.record import ContainerRecord
from moorage.containers.start_order import by_dependency
from moorage.spec.engine.container import ContainerConfig
from moorage.spec.engine.hostconfig import HostConfig


def made(name: str, number: int, depends_on: str = "", project: str = "p") -> Container:
    labels = {
        "com.docker.compose.project": project,
        "com.docker.compose.service": name,
        "com.docker.compose.depends_on": depends_on,
    }
    record = ContainerRecord(
        id=f"{project}-{name}",
        name=name,
        created_ns=number,
        image_id="",
        config=ContainerConfig(labels=labels),
        host_config=HostConfig(),
    )
    return Container(record)


def test_what_others_need_starts_first() -> None:
    web = made("web", 1, "api:service_started:true")
    api = made("api", 2, "db:service_healthy:false,cache:service_started:false")
    cache, db = made("cache", 3), made("db", 4)
    assert by_dependency([cache, web, db, api]) == [db, cache, api, web]


def test_others_start_in_the_order_they_were_made() -> None:
    first, second = made("b", 1), made("a", 2)
    assert by_dependency([second, first]) == [first, second]


def test_circles_and_missing_services_stop_nobody() -> None:
    a = made("a", 1, "b:service_started:true,gone:service_started:true")
    b = made("b", 2, "a:service_started:true")
    assert set(map(id, by_dependency([a, b]))) == {id(a), id(b)}


def test_services_of_another_project_do_not_count() -> None:
    web = made("web", 1, "db:service_started:true", project="one")
    foreign = made("db", 2, project="two")
    assert by_dependency([web, foreign]) == [web, foreign]
