"""What operators read on the console, made from codes and facts."""
