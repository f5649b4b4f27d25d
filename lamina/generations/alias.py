def alias(*a): pass
def install(*a): pass
def uninstall(*a): pass
