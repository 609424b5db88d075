from tests.support.postgres import database_url, empty_url, own_postgres, postgres

__all__ = ["database_url", "empty_url", "own_postgres", "postgres"]
