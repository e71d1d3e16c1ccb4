import requests

from bot.health import HealthServer


def test_health_names_the_part_that_is_dead() -> None:
    parts = {"slack": True, "runner": True}
    server = HealthServer("127.0.0.1", 0, lambda: parts)
    server.start()
    try:
        url = f"http://127.0.0.1:{server.port}"
        assert requests.get(f"{url}/healthz", timeout=5).status_code == 200
        parts["runner"] = False
        sick = requests.get(f"{url}/healthz", timeout=5)
        assert sick.status_code == 503
        assert sick.json() == {"slack": True, "runner": False}
        assert requests.get(f"{url}/secrets", timeout=5).status_code == 404
    finally:
        server.stop()
