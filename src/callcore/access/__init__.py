"""Who may do what: the table of rights, users and sessions, and the audit trail. Knows neither SQL nor HTTP."""
