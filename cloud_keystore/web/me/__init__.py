"""The portal: pages on which holders look after their own."""
