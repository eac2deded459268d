"""What is kept of people: the notice, the file of one's data, erasure, and how long anything is kept."""
