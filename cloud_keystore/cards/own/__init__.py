"""What holders see of their own at the portal, and what they end there."""
