from maskwright_testing import parametrize_contracts


@parametrize_contracts("maskwright-samples")
def test_contracts(check):
    check()
