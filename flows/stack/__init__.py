"""The team's servers on one machine without containers: what docker-compose.yml says, natively."""
