"""How somebody becomes a builder: invitations, applications, and the checklist of the first steps."""
