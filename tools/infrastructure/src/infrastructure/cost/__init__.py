"""What an environment costs in a month: its plan, a price table, and what is reckoned where the plan cannot know."""
