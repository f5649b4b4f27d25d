"""What several test files share, a module for each idea. Test files import from here, never from one another."""
