"""The flows that cross a booking and its money: schedule, pay, confirm, expire."""
