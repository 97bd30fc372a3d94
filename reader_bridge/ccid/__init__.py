"""A USB smart card reader (USB CCID, revision 1.1), sans-IO."""
