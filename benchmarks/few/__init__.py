"""What a training job reaches with few images, beside what one would write without it."""
