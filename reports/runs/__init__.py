"""Many runs beside each other: what is there, what each did differently, and two or more compared."""
