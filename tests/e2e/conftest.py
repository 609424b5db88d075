from tests.support.postgres import own_postgres

__all__ = ["own_postgres"]
