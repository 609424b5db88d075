from tests.support.browser import browser
from tests.support.postgres import empty_url, own_postgres, postgres

__all__ = ["browser", "empty_url", "own_postgres", "postgres"]
