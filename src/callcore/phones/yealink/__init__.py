"""One maker: capabilities and templates."""
