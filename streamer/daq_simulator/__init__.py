"""A detector without a detector: sends stored frames as DECTRIS Stream V1 or V2 does, and misbehaves on request."""
