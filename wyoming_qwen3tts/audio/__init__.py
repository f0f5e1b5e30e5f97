"""Digital signal processing on PCM: levels, silence trimming, speed, post-processing, encoding."""
