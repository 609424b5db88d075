"""What both processes run on: ports, the engine's loop, timers, the heartbeat, commands between the processes."""
