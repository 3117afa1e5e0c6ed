"""rtnetlink and nftables spoken directly; message tables without policy."""
